package devicebound

// Registered and Refreshed verify proofs apart from any session.
func Registered(token string) (key []byte, challenge string, err error) {
	p, err := parse(token)
	if err != nil {
		return nil, "", err
	}
	key, err = p.register()
	return key, p.claims.Challenge, err
}

func Refreshed(token string, key []byte) (challenge string, err error) {
	p, err := parse(token)
	if err != nil {
		return "", err
	}
	return p.claims.Challenge, p.refresh(key)
}
