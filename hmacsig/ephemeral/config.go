package ephemeral

import (
	"errors"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/internal/configerr"
)

var (
	errNoKey  = errors.New("hmacsig/ephemeral: no key is active now")
	errNotNew = errors.New("hmacsig/ephemeral: the signer was not made by its New function")
)

// What a credential is refused with.
const (
	missing     = hmacsig.Fault(hmacsig.CodeSignatureMissing)
	malformed   = hmacsig.Fault(hmacsig.CodeSignatureMalformed)
	expired     = hmacsig.Fault(hmacsig.CodeSignatureExpired)
	notYetValid = hmacsig.Fault(hmacsig.CodeSignatureNotYetValid)
	mismatch    = hmacsig.Fault(hmacsig.CodeSignatureClaims)
)

// newList collects the problems of a configuration.
func newList() *configerr.List { return configerr.For("hmacsig/ephemeral") }

// newSigner signs with the first key that is active now.
func newSigner(scheme hmacsig.Scheme, keys hmacsig.Keyring) (*hmacsig.Signer, error) {
	key, ok := keys.Signing(time.Now())
	if !ok {
		return nil, errNoKey
	}
	return hmacsig.NewSigner(hmacsig.SignerConfig{Scheme: scheme, Secret: key.Secret})
}

func checkDuration(list *configerr.List, field string, d, least, most time.Duration) {
	if d < least || d > most {
		list.Add(field, d.String(), sallyport.ConfigOutOfRange,
			"is not between "+least.String()+" and "+most.String())
	}
}

// used reports whether an answer has used a credential up. Unlike a message, a
// credential that was answered with a redirect has led where it leads.
func used(status int) bool {
	return status >= 200 && status < 400 || status == http.StatusSwitchingProtocols
}

func checkKeys(list *configerr.List, keys hmacsig.Keyring) {
	if keys.Len() == 0 {
		list.Add("Keys", "", sallyport.ConfigRequired, "are what signs and verifies")
	}
}

// checkText admits only what stands unescaped in JSON, in TURN user names and
// in query parameters alike.
func checkText(list *configerr.List, field, text string) {
	switch {
	case text == "":
		list.Add(field, "", sallyport.ConfigRequired, "has 1 to 128 bytes")
	case len(text) > maxText:
		list.Add(field, "", sallyport.ConfigOutOfRange, "has more than 128 bytes")
	}
	for _, c := range []byte(text) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.' && c != ':' {
			list.Add(field, text, sallyport.ConfigMalformed,
				"has other characters than letters, digits and _-.:")
			return
		}
	}
}
