package qstash_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/qstash"
)

func Example() {
	current := hmacsig.Generate() // in production: QSTASH_CURRENT_SIGNING_KEY
	verifier, err := qstash.New(qstash.Config{
		URLs:    []string{"https://ingest.example.test/api/sync/worker"},
		Current: current,
		OnReject: func(w http.ResponseWriter, _ *http.Request, r *sallyport.Refusal) {
			if r.Code == hmacsig.CodeReplayed {
				w.WriteHeader(http.StatusOK) // it is done: stop delivering it
				return
			}
			w.WriteHeader(r.Status)
		},
	})
	if err != nil {
		panic(err)
	}
	worker := verifier.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		proof, _ := hmacsig.FromContext(r.Context())
		fmt.Println("delivered under the key", proof.Key)
	}))

	signer, err := qstash.NewSigner(qstash.SignerConfig{
		URL: "https://ingest.example.test/api/sync/worker", Secret: current,
	})
	if err != nil {
		panic(err)
	}
	delivery := httptest.NewRequest(http.MethodPost, "/api/sync/worker", strings.NewReader("{}"))
	if err := signer.Sign(delivery); err != nil {
		panic(err)
	}
	for range 2 {
		delivery.Body, _ = delivery.GetBody()
		w := httptest.NewRecorder()
		worker.ServeHTTP(w, delivery)
		fmt.Println(w.Code)
	}
	// Output:
	// delivered under the key current
	// 200
	// 200
}

// The URL is the one that the producer was given, from the configuration. Made from the
// request it proves nothing: a delivery for another service verifies here as well, once
// it is sent with the other's name in Host.
func Example_incorrect() {
	secret := hmacsig.Generate() // one account signs for all its services
	signer, err := qstash.NewSigner(qstash.SignerConfig{URL: "https://other.example.test/worker", Secret: secret})
	if err != nil {
		panic(err)
	}
	stolen := httptest.NewRequest(http.MethodPost, "https://other.example.test/worker", strings.NewReader("{}"))
	if err := signer.Sign(stolen); err != nil {
		panic(err)
	}
	for _, url := range []string{
		"https://" + stolen.Host + stolen.URL.Path, // wrong
		"https://ingest.example.test/worker",       // right
	} {
		verifier, err := qstash.New(qstash.Config{URLs: []string{url}, Current: secret})
		if err != nil {
			panic(err)
		}
		stolen.Body, _ = stolen.GetBody()
		_, err = verifier.Check(stolen)
		fmt.Println(err != nil)
	}
	// Output:
	// false
	// true
}
