// Package scrub removes personal data and secrets from text and values before
// they leave the process: into logs, error trackers, queues and files.
//
// # Threat
//
// Nobody means to log a card number. It arrives inside an error message, a
// URL, a struct printed with %+v, JSON in a JSON string, percent-encoded, or
// in full-width digits, and from then on it is in every backup of every
// system behind the log. The attacker is whoever reads one of those.
//
// A scrubber that takes out what nobody minds is switched off within a week,
// and then protects nothing. So each detector also has a grammar of what it
// leaves alone, measured on the logs of strangers (docs/benchmarks.md).
//
// # Guarantees
//
// A Scrubber is immutable and safe for concurrent use. Time is linear in the
// input, whatever it holds; clean text costs no allocation. A stream gives what
// the whole text gives, wherever it is cut. Replacements have no length to learn
// from; a [Report] holds counts only. AppendJSON keeps valid JSON valid. Value
// never changes what it is given and fails closed: cycles, excess depth or size
// and panics are [ErrDropped], not a part of the value. The zero Scrubber
// withholds everything.
//
// Text, JSON, values, slog records, headers and queries have one judge of names
// and one of values: what is a secret in one form is one in all. A class in a
// struct's tag holds behind String, MarshalJSON, MarshalText, LogValue and Error,
// in slices, maps and embedded pointers.
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
//     digit (ISO/IEC 7812-1), in one piece or as cards are printed: 4-4-4-4,
//     4-6-5, 4-6-4. Shortly after a word such as card, Luhn is enough. Not inside
//     UUIDs, hashes and fractions, not before a unit, not as the value of user_id
//     or the end of blk_5701964561533648583, and not after a plus sign with at
//     most 15 digits: that is a telephone number.
//   - Token: credentials after Bearer, Basic and DPoP, cookies and
//     Authorization values, JWTs, private keys in PEM, passwords in URLs and MySQL
//     data sources (also with / ? # and @ in them), curl -u, and about 280 vendor
//     formats that name their issuer. "Bearer token required", a lone base64
//     cursor and "Session: 30546354_3173223679" stay.
//   - Secret: the value of a denied name, below. It stays if it is null, a
//     boolean, a placeholder (***, ${DB_PASSWORD}, [FILTERED]), or for names that
//     are often harmless a short number, a path, an address (0x14ede63a), code
//     (getToken(x), Token{a64f992) or a word.
//   - Phone: a number with a calling code; a number with a trunk zero, in the
//     groups in which a country prints it; North American 3-3-4 with hyphens, dots
//     or parentheses. Any other only beside a word such as phone, fax or call.
//     Never after a letter, in front of a unit, as a decimal number.
//   - IBAN: a country's length and a valid remainder (ISO 7064 MOD 97-10).
//   - IP: IPv4 and IPv6 except the loopback and unspecified addresses; not a
//     version (v1.2.3.4, Chrome/1.2.3.4, app~6.1.1.0) and not a scope operator.
//   - SSN: ddd-dd-dddd under the rules of the US administration.
//   - MAC, IMEI, Wallet: only where Config.Detectors names them.
//
// Names are compared by whole words and by their last one: DB_PASSWORD,
// newPassword, JWTSecret and Password-Hash are denied, password_length, monkey
// and public_key are not. The words are:
//
//   - whatever their value: password, passwd, passphrase, passcode, pwd and their
//     like in nine languages; cvv, cvc, ssn, tckn, pin, otp, totp, dob, birthdate,
//     birthday, date of birth; number after card, account, passport, routing,
//     security, cc or license; code after security, verification, recovery,
//     backup, otp, pin or mfa;
//   - except for short numbers and paths: secret, token, apikey, credential,
//     creds, privatekey, secretkey, accesskey, csrf, xsrf, dsn, connection string,
//     session identifiers; key after api, access, secret, private, signing,
//     encryption, master and twenty-five more;
//   - only values that look like credentials: passwords, secrets, tokens,
//     signature, sig, pass, pw, auth, salt, crypt, certificate, session, sid; key
//     after any other word but public, primary, foreign, cache and their like;
//   - only words: name after first, last, full, middle, maiden, given, family or
//     cardholder; surname; address after street, home, postal, billing, shipping
//     or mailing;
//   - authorization and cookie, with all that their values may hold.
//
// # Not guaranteed
//
// What has no form cannot be recognised: names, addresses and diagnoses in
// prose, passwords without a name, tokens of vendors that have no mark. About one
// in thirty random 16-digit numbers passes every rule of cards and goes too.
// Encodings other than those above (base64, gzip, encryption) are not opened.
// Values split over several messages, fields or lines are not joined. In text,
// unquoted values of denied names end at the first blank, an object below one is
// taken whole only if it closes within 384 bytes, and of what stands behind a
// denied name without a blank for hundreds of bytes, only the beginning is
// judged. A value truncated before it came here may be too short to recognise:
// scrub first, then truncate.
//
// Scrubbing twice changes nothing that logs hold (none of 450,000 lines of strangers);
// in texts made of fragments, about one in 100,000 changes once more, because what
// stood beside a value is gone.
//
// Pseudonyms are pseudonymous, not anonymous (GDPR article 4(5)): who holds the
// key can test guesses.
//
// # Place among the gates
//
// Scrub has no place in the chain of request gates: it stands at every exit.
// Put [Scrubber.Handler] in front of all other log handlers, [LineWriter] behind
// other loggers, and sentryscrub.Configure last before sentry.Init; scrub what is
// stored with a Scrubber of the detectors that policy forbids to store ([Card] at
// least).
//
// # Memory
//
// A Scrubber takes about 45 KiB, and all of them share 60 KiB of numbering plans.
// Append and String keep nothing. A [Writer] holds back 3 KiB and works in pieces
// of 32 KiB, whatever the stream; a [LineWriter] holds the line that is not
// complete. Value is bounded by 32 levels, 10,000 nodes and 1 MiB of text.
//
// # Example
//
//	s, err := scrub.New(scrub.Config{Preset: scrub.Logs})
//	...
//	log := slog.New(s.Handler(slog.NewJSONHandler(os.Stdout, nil)))
//	log.Info("paid", "by", "ann@example.com", "card", 4929718123456789)
//	// {"msg":"paid","by":"[email]","card":"[card]"}
//
// To see what would go from your own logs, and why:
//
//	go run ./examples/scrubfile -explain app.log
package scrub
