package engine

// head is the last word of a denied key. The words before it may qualify it
// (api_key, but not monkey or public_key); the few that may follow it are in
// tailWords. Keys are compared by whole words: camelCase, snake_case,
// kebab-case and spelled with dots or blanks.
type head struct {
	word string
	// after lists the words one of which must stand before it, or "".
	after string
	// rule says how much a value must look like a secret.
	rule valueRule
	det  int
}

type valueRule uint8

const (
	ruleAny     valueRule = iota // any value that is not empty, null or a boolean
	ruleText                     // nor a short number: token=17 is a count
	ruleOpaque                   // only what looks like a credential, and no number
	ruleHeader                   // an Authorization header: a scheme and its credentials
	ruleCookies                  // name=value pairs separated by semicolons
)

// heads is the list of denied keys, published in the documentation. Config.Keys
// adds to it; nothing takes away from it.
var heads = [...]head{
	{"password", "", ruleAny, Secret},
	{"passwords", "", ruleOpaque, Secret},
	{"passwd", "", ruleAny, Secret},
	{"passphrase", "", ruleAny, Secret},
	{"passcode", "", ruleAny, Secret},
	{"pwd", "", ruleAny, Secret},
	{"parola", "", ruleAny, Secret},
	{"sifre", "", ruleAny, Secret},
	{"secret", "", ruleText, Secret},
	{"secrets", "", ruleOpaque, Secret},
	{"token", "", ruleText, Secret},
	{"tokens", "", ruleOpaque, Secret},
	{"apikey", "", ruleText, Secret},
	{"credential", "", ruleText, Secret},
	{"credentials", "", ruleText, Secret},
	{"signature", "", ruleOpaque, Secret},
	{"key", keyKinds, ruleText, Secret},
	{"keys", " api access secret private signing encryption ", ruleText, Secret},
	{"cvv", "", ruleAny, Secret},
	{"cvv2", "", ruleAny, Secret},
	{"cvc", "", ruleAny, Secret},
	{"cvc2", "", ruleAny, Secret},
	{"ssn", "", ruleAny, Secret},
	{"tckn", "", ruleAny, Secret},
	{"pin", "", ruleAny, Secret},
	{"otp", "", ruleAny, Secret},
	{"totp", "", ruleAny, Secret},
	{"dob", "", ruleAny, Secret},
	{"birthdate", "", ruleAny, Secret},
	{"birthday", "", ruleAny, Secret},
	{"birth", " of ", ruleAny, Secret},
	{"number", " card account passport routing security cc license ssn ", ruleAny, Secret},
	{"code", " security verification recovery backup otp pin mfa ", ruleAny, Secret},
	{
		"name", " first last full middle maiden given family cardholder holder ",
		ruleText, Secret,
	},
	{"surname", "", ruleText, Secret},
	{"address", " street home postal billing shipping mailing ", ruleText, Secret},
	{"string", " connection conn ", ruleText, Secret},
	{"jsessionid", "", ruleText, Token},
	{"phpsessid", "", ruleText, Token},
	{"sessionid", "", ruleText, Token},
	{"session", "", ruleOpaque, Token},
	{"sid", "", ruleOpaque, Token},
	{"pass", "", ruleOpaque, Secret},
	{"auth", "", ruleOpaque, Secret},
	{"sig", "", ruleOpaque, Secret},
	{"authorization", "", ruleHeader, Token},
	{"cookie", "", ruleCookies, Token},
	{"cookies", "", ruleCookies, Token},
}

// keyKinds say which keys are secret: not public_key, foreign_key or hotkey.
const keyKinds = " api access secret private signing encryption master account session shared role" +
	" auth client app aes hmac webhook storage subscription ssh rsa service deploy admin license "

// tailWords may follow a head without changing what it names.
const tailWords = " hash hashed value string header base base64 b64 current next new old prod" +
	" dev test staging live raw plain text plaintext confirm confirmation again repeat id 1 2 3 "

// countWords turn a key into a statement about a secret: has_password.
const countWords = " has is max min num show use uses require requires needs public publishable "

// gluedWords may be written together with a head: accesstoken, dbpassword.
const gluedWords = " access auth refresh id csrf xsrf session api app client user db new old my" +
	" bearer root admin shared secret pg mysql db redis smtp sql ftp ssh ldap "

// listed reports whether word, lower or upper case, is in a list of words
// each of which has a blank on both sides.
func listed(list, word string) bool {
	if word == "" {
		return false
	}
	for i := 0; i+len(word)+2 <= len(list); i++ {
		if list[i] == ' ' && list[i+len(word)+1] == ' ' && equalFold(word, list[i+1:i+1+len(word)]) {
			return true
		}
	}
	return false
}

// equalFold compares word with want, which is lower case.
func equalFold(word, want string) bool {
	return len(word) == len(want) && foldAt(word, 0, want)
}
