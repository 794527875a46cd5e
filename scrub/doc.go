// Package scrub removes personal data and secrets from text and values before
// they leave the process: into logs, error trackers, queues and files.
//
//	s, err := scrub.New(scrub.Config{})
//	...
//	log := slog.New(s.Handler(slog.NewJSONHandler(os.Stdout, nil)))
//	log.Info("paid", "by", "ann@example.com", "card", 4929718123456789)
//	// {"msg":"paid","by":"[email]","card":"[card]"}
//
// # Threat
//
// Nobody means to log a card number. It arrives inside an error message, a
// URL, a struct printed with %+v, JSON in a JSON string, percent-encoded, or
// in full-width digits, and from then on it is in every backup of every
// system behind the log. The attacker is whoever reads one of those.
//
// # What is recognised
//
// Each detector has its own precision rule. Characters count by what they
// mean: percent-encoding (also twice), \u and \x escapes under any number of
// backslashes, HTML entities, full-width forms, the digits of every script,
// invisible characters and the many spaces and dashes are seen through.
//
//   - Email: a local part (also quoted), an at sign, and a domain of at least
//     two labels whose last one begins with letters and is not a file
//     extension; internationalised names too. Not pkg@v1.2.3, icon@2x.png,
//     git@host:path.
//   - Card: 12 to 19 digits in an issuer's range and length with a valid Luhn
//     digit (ISO/IEC 7812-1), in one piece or in groups with one kind of
//     separator; also as a JSON number or a float64. Not after a plus sign
//     with at most 15 digits: that is a telephone number. Not inside UUIDs,
//     hashes and fractions. About one in thirty random 16-digit numbers
//     satisfies all rules and goes too.
//   - Token: credentials after Bearer, Basic and DPoP, cookies and
//     Authorization values, JWTs, private keys in PEM, passwords in URLs, and
//     about 200 vendor formats that name their issuer. "Bearer token
//     required" and a lone base64 cursor stay.
//   - Secret: the value of a denied key, as key=value, JSON at any depth of
//     quoting, Go dumps, flags, XML elements, headers. Keys are compared by
//     whole words and by their last word: db_password, newPassword and
//     Password-Hash are denied, password_length and monkey are not.
//   - Phone: E.164 with + or 00, North American, national with a trunk zero,
//     area codes in parentheses; plain digits only after a word such as phone.
//   - IBAN: a country's length and a valid remainder (ISO 7064 MOD 97-10).
//   - IP: IPv4 and IPv6 except the loopback and unspecified addresses; not a
//     version (v1.2.3.4, Chrome/1.2.3.4) and not a scope operator (a::b).
//   - SSN: ddd-dd-dddd under the rules of the US administration.
//
// The denied keys are: password, passwords, passwd, passphrase, passcode, pwd, parola,
// sifre, secret, token, apikey, credential, signature; key after api, access,
// secret, private, signing, encryption, master, account, session, shared,
// role, auth, client, app, aes, hmac, webhook, storage, subscription, ssh,
// rsa, service, deploy, admin or license; cvv, cvc, ssn, tckn, otp, totp,
// dob, birthdate, birthday, date of birth; number after card, account,
// passport, routing, security, cc or license; code after security,
// verification, recovery, backup, otp, pin or mfa; name after first, last,
// full, middle, maiden, given, family or cardholder; surname; address after
// street, home, postal, billing, shipping or mailing; connection string;
// session identifiers; authorization and cookie. session, sid, pass, auth and
// sig are denied only values that look like credentials. Null, booleans, and
// short numbers below token, secret and key stay.
//
// # Guarantees
//
// A Scrubber is immutable and safe for concurrent use. Time is linear in the
// input whatever it holds; clean text costs no allocation. Output scrubbed
// again does not change, and a stream gives what the whole text gives,
// wherever it is cut. Replacements have no length to learn from; a [Report]
// holds counts only. AppendJSON keeps valid JSON valid. Value never changes
// what it is given and fails closed: cycles, excess depth or size and panics
// are [ErrDropped], not a part of the value. The zero Scrubber withholds
// everything.
//
// # Non-guarantees
//
// What has no form cannot be recognised: names, addresses and diagnoses in
// prose, passwords without a key, tokens of vendors that have no prefix.
// Encodings other than those above (base64, gzip, encryption) are not opened.
// Values split over several messages, fields or lines are not joined.
// Unquoted values of denied keys end at the first blank. A value truncated
// before it came here may be too short to recognise: scrub first, then
// truncate. Pseudonyms are pseudonymous, not anonymous (GDPR article 4(5)):
// who holds the key can test guesses. Public values below the clearance of a
// destination are still scanned, never trusted.
//
// # Place among the gates
//
// Scrub has no place in the chain of request gates: it stands at every exit.
// Put [Scrubber.Handler] in front of all other log handlers and
// sentryscrub.Configure last before sentry.Init; scrub what is stored with a
// Scrubber of the detectors that policy forbids to store ([Card] at least).
//
// # Memory
//
// A Scrubber takes about 35 KiB. Append and String keep nothing. A [Writer]
// holds back 3 KiB and works in pieces of 32 KiB, whatever the stream. Value
// is bounded by 32 levels, 10,000 nodes and 1 MiB of text.
package scrub
