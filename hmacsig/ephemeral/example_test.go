package ephemeral_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

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

// A scope says what a URL opens. One scope for everything lets a URL that was made to
// listen be used to delete, if a route forgets that the method is signed too.
func Example_incorrect() {
	keys, err := hmacsig.NewRotation(hmacsig.Generate(), hmacsig.Secret{})
	if err != nil {
		panic(err)
	}
	for _, scope := range []string{"", "everything please"} {
		_, err := ephemeral.NewURLSigner(ephemeral.URLConfig{Scope: scope, Keys: keys})
		fmt.Println(err != nil)
	}
	_, err = ephemeral.NewURLSigner(ephemeral.URLConfig{
		Scope: "recordings:read", Keys: keys, Lifetime: 7 * 24 * time.Hour, // in every proxy's log by then
	})
	fmt.Println(err)
	// Output:
	// true
	// true
	// hmacsig/ephemeral: Lifetime: "168h0m0s": is not between 1s and 24h0m0s
}
