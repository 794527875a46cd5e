// Command hmacsig accepts requests that a holder of the site's secret has
// signed, each one once. It prints a secret and sends itself one request.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/opsmantik/sallyport/hmacsig"
)

const site = "shop"

func newHandler(secret hmacsig.Secret) (http.Handler, error) {
	keys, err := hmacsig.NewRotation(secret, hmacsig.Secret{}) // no rotation under way
	if err != nil {
		return nil, err
	}
	verifier, err := hmacsig.New(hmacsig.Config{
		Scheme: hmacsig.OpsMantik(),
		Keys:   hmacsig.StaticKeys{site: keys},
	})
	if err != nil {
		return nil, err
	}
	return verifier.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proof, _ := hmacsig.FromContext(r.Context())
		_, _ = fmt.Fprintln(w, "signed by", proof.KeyID)
	})), nil
}

func main() {
	secret := hmacsig.Generate()
	handler, err := newHandler(secret)
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	status, err := send(server.URL, secret)
	fmt.Println(status, err)
}

// send signs a request as the site's own server would.
func send(url string, secret hmacsig.Secret) (status string, err error) {
	signer, err := hmacsig.NewSigner(hmacsig.SignerConfig{
		Scheme: hmacsig.OpsMantik(), KeyID: site, Secret: secret,
	})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		return "", err
	}
	if err := signer.Sign(req); err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	return res.Status, res.Body.Close()
}
