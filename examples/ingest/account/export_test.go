package account

// KeyID names a credential.
func KeyID(credential []byte) string { return keyID(credential) }

// KeyName is a name that can be shown.
func KeyName(given string) string { return keyName(given) }

// RPID is the name that security keys know an origin by, or "".
func RPID(origin string) string { return rpID(origin) }
