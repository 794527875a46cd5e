package ephemeral

import (
	"errors"
	"time"

	"github.com/opsmantik/sallyport/hmacsig"
)

var errNoKey = errors.New("ephemeral: no key is active now")

// newSigner signs with the first key that is active now.
func newSigner(scheme hmacsig.Scheme, keys hmacsig.Keyring) (*hmacsig.Signer, error) {
	key, ok := keys.Signing(time.Now())
	if !ok {
		return nil, errNoKey
	}
	return hmacsig.NewSigner(hmacsig.SignerConfig{Scheme: scheme, Secret: key.Secret})
}

func checkLifetime(d time.Duration) error {
	if d >= time.Second && d <= maxLifetime {
		return nil
	}
	return &hmacsig.ConfigError{
		Field: "Lifetime", Value: d.String(), Reason: "is not between 1s and 24h",
	}
}

func checkKeys(keys hmacsig.Keyring) error {
	if keys.Len() > 0 {
		return nil
	}
	return &hmacsig.ConfigError{Field: "Keys", Reason: "is required"}
}

// checkText admits only what stands unescaped in JSON, in TURN user names and
// in query parameters alike.
func checkText(field, text string) error {
	if text == "" || len(text) > maxText {
		return &hmacsig.ConfigError{Field: field, Reason: "has not 1 to 128 bytes"}
	}
	for _, c := range []byte(text) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.' && c != ':' {
			return &hmacsig.ConfigError{
				Field: field, Value: text, Reason: "has other characters than letters, digits and _-.:",
			}
		}
	}
	return nil
}
