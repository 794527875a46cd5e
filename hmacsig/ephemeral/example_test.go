package ephemeral_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/ephemeral"
)

func Example() {
	keys, err := hmacsig.NewRotation(hmacsig.Generate(), hmacsig.Secret{})
	if err != nil {
		panic(err)
	}
	cfg := ephemeral.URLConfig{Scope: "recordings:read", Keys: keys}
	signer, err := ephemeral.NewURLSigner(cfg)
	if err != nil {
		panic(err)
	}
	verifier, err := ephemeral.NewURLVerifier(cfg)
	if err != nil {
		panic(err)
	}
	signed, err := signer.Sign(http.MethodGet, "/recordings/42.ogg")
	if err != nil {
		panic(err)
	}
	for _, target := range []string{signed, strings.Replace(signed, "42", "43", 1)} {
		_, err = verifier.Check(httptest.NewRequest(http.MethodGet, target, nil))
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// hmacsig: signature_invalid
}
