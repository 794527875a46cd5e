package account

// KeyID names a credential.
func KeyID(credential []byte) string { return keyID(credential) }

// KeyName is a name that can be shown.
func KeyName(given string) string { return keyName(given) }

// CanHaveKeys reports whether security keys work at an origin.
func CanHaveKeys(origin string) bool { return canHaveKeys(origin) }
