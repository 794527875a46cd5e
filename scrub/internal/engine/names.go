package engine

import "strings"

// deniedNames is the list of denied names, published in the documentation of
// package scrub. Config.Keys adds to it; nothing takes away from it. A row
// stands for one head per word of its words.
var deniedNames = [...]head{
	{word: "password passwd passphrase passcode pwd passwrd pswd pword passw passwort kennwort " +
		"contrasena contraseña senha wachtwoord haslo parola sifre şifre пароль", rule: ruleAny},
	{word: "cvv cvv2 cvc cvc2 ssn tckn pin otp totp dob birthdate birthday", rule: ruleAny},
	{word: "birth", after: wordsOf("of"), rule: ruleAny},
	{word: "date", after: wordsOf("birth"), rule: ruleAny},
	{word: "number", after: numberKinds, rule: ruleAny},
	{word: "code", after: wordsOf("security verification recovery backup otp pin mfa"), rule: ruleAny},
	{word: "secret token apikey privatekey secretkey accesskey accountkey storagekey", rule: ruleText},
	{word: "credential credentials creds cred", rule: ruleText},
	{word: "csrf xsrf dsn", rule: ruleText},
	{word: "key", after: keyKinds, rule: ruleText},
	{word: "keys", after: wordsOf("api access secret private signing encryption"), rule: ruleText},
	{word: "key", not: plainKeys, rule: ruleOpaque},
	{word: "string", after: wordsOf("connection conn"), rule: ruleText},
	{word: "passwords secrets tokens signature sig pass pw auth", rule: ruleOpaque},
	{word: "salt crypt certificate", rule: ruleOpaque},
	{word: "session sid symfony jsessionid phpsessid sessionid", rule: ruleOpaque, det: Token},
	{
		word: "name", after: wordsOf("first last full middle maiden given family cardholder holder"),
		rule: rulePerson,
	},
	{word: "surname", rule: rulePerson},
	{word: "address", after: wordsOf("street home postal billing shipping mailing"), rule: rulePerson},
	{word: "authorization", rule: ruleHeader, det: Token},
	{word: "cookie cookies", rule: ruleCookies, det: Token},
}

// numberKinds say which numbers are secret.
var numberKinds = wordsOf("card account passport routing security cc license ssn")

// keyKinds say which keys are secret, whatever they look like.
var keyKinds = wordsOf("api access secret private signing encryption master account session shared role" +
	" auth client app aes hmac webhook storage subscription ssh rsa service deploy admin license" +
	" jwt signature consumer write ingest")

// plainKeys say which keys are none, even if they look like one. The key of
// nothing is one of a map.
var plainKeys = wordsOf("public primary foreign cache partition sort idempotency routing row group dedup" +
	" object bucket file s3 hot index lookup host registry composite natural unique parent map redis" +
	" sql publishable message event record entity query search i18n translation locale trace" +
	" correlation request kms translation block shuffle")

var (
	// tailWords may follow a head without changing what it names.
	tailWords = wordsOf("hash hashed value string header base base64 b64 current next new old prod" +
		" dev test staging live raw plain text plaintext confirm confirmation again repeat id ")
	// countWords turn a name into a statement about a secret: has_password.
	countWords = wordsOf("has is max min num show use uses require requires needs public publishable")
	// gluedWords may be written together with a head: accesstoken, dbpassword.
	gluedWords = wordsOf("access auth refresh id csrf xsrf session api app client user db new old my" +
		" bearer root admin shared secret pg mysql db redis smtp sql ftp ssh ldap private x login" +
		" account personal bot hub vault cleartext")
)

// useNames fills the heads from the published list and the caller's own.
func (e *Engine) useNames(own [][]string) {
	for _, row := range deniedNames {
		if row.det == 0 {
			row.det = Secret
		}
		for word := range strings.FieldsSeq(row.word) {
			h := row
			h.word = word
			e.heads = append(e.heads, h)
		}
	}
	for _, words := range own {
		h := head{word: words[len(words)-1], rule: ruleAny, det: Secret}
		if len(words) > 1 {
			h.after = wordsOf(words[len(words)-2])
		}
		e.heads = append(e.heads, h)
	}
	e.byWord = make(map[string][]int, len(e.heads))
	for i := range e.heads {
		e.heads[i].name = Names[e.heads[i].det] + "." + e.heads[i].word
		e.endings = e.endings.or(bytesOf(string([]byte{ending(e.heads[i].word)})))
		e.byWord[e.heads[i].word] = append(e.byWord[e.heads[i].word], i)
		if r := e.heads[i].rule; len(e.heads[i].word) >= minGlued && e.heads[i].after == nil &&
			(r == ruleAny || r == ruleText) {
			e.long = append(e.long, i)
		}
	}
}

// equalFold compares word with want, which is lower case.
func equalFold(word, want string) bool {
	return len(word) == len(want) && foldAt(word, 0, want)
}

// words is a set of lower-case words, by their length: such sets are small, and
// most words are told by the length and the first letter.
type words [maxWordBytes + 1][]string

func wordsOf(list string) *words {
	set := new(words)
	for w := range strings.FieldsSeq(list) {
		n := min(len(w), maxWordBytes)
		set[n] = append(set[n], w)
	}
	return set
}

// maxWordBytes is the length from which on words share a list.
const maxWordBytes = 16

// has reports whether word is in the set, whatever its case.
func (set *words) has(word string) bool {
	if word == "" {
		return false
	}
	first := lower(word[0])
	for _, w := range set[min(len(word), maxWordBytes)] {
		if w[0] == first && len(w) == len(word) && foldAt(word, 0, w) {
			return true
		}
	}
	return false
}

// lowerWord writes word in lower case to buf, if it fits.
func lowerWord(buf *[maxKeyBytes]byte, word string) ([]byte, bool) {
	if len(word) > len(buf) || word == "" {
		return nil, false
	}
	for i := range len(word) {
		buf[i] = lower(word[i])
	}
	return buf[:len(word)], true
}
