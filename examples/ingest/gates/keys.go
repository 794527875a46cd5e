package gates

import (
	"fmt"

	"github.com/opsmantik/sallyport/hmacsig"
)

func keyring(current, next string) (hmacsig.Keyring, error) {
	first, second, err := secrets(current, next)
	if err != nil {
		return hmacsig.Keyring{}, err
	}
	return hmacsig.NewRotation(first, second)
}

// secrets wraps a current and, where there is one, a next secret. The contract
// allows 16 bytes.
func secrets(current, next string) (first, second hmacsig.Secret, err error) {
	first, err = hmacsig.NewSecret(hmacsig.SecretConfig{Value: current, AllowShort: true})
	if err != nil {
		return first, second, fmt.Errorf("current secret: %w", err)
	}
	if next == "" {
		return first, second, nil
	}
	second, err = hmacsig.NewSecret(hmacsig.SecretConfig{Value: next, AllowShort: true})
	if err != nil {
		return first, second, fmt.Errorf("next secret: %w", err)
	}
	return first, second, nil
}
