package hmacsig_test

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
)

func Example() {
	current, next := hmacsig.Generate(), hmacsig.Generate()
	ring, err := hmacsig.NewRotation(current, next)
	if err != nil {
		panic(err)
	}
	verifier, err := hmacsig.New(hmacsig.Config{
		Scheme: hmacsig.OpsMantik(),
		Keys:   hmacsig.StaticKeys{"site-1": ring},
		OnReject: func(w http.ResponseWriter, _ *http.Request, r *sallyport.Refusal) {
			if r.Code == hmacsig.CodeReplayed {
				_, _ = io.WriteString(w, `{"status":"noop"}`)
				return
			}
			http.Error(w, r.Code, r.Status)
		},
	})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(verifier.Wrap(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			proof, _ := hmacsig.FromContext(r.Context())
			event, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, "%s, key %s: %s", proof.KeyID, proof.Key, event)
		})))
	defer server.Close()

	signer, err := hmacsig.NewSigner(hmacsig.SignerConfig{
		Scheme: hmacsig.OpsMantik(), KeyID: "site-1", Secret: next,
	})
	if err != nil {
		panic(err)
	}
	request, _ := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(`{"call":1}`))
	if err := signer.Sign(request); err != nil {
		panic(err)
	}
	for range 2 { // the second is a replay
		request.Body, _ = request.GetBody()
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			panic(err)
		}
		answer, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		fmt.Println(response.StatusCode, string(answer))
	}
	// Output:
	// 200 site-1, key next: {"call":1}
	// 200 {"status":"noop"}
}

// A handler must not answer before its effect is done: the answer is what
// confirms the message, and a confirmed message is never accepted again.
func Example_incorrect() {
	secret := hmacsig.Generate()
	ring, _ := hmacsig.NewRotation(secret, hmacsig.Secret{})
	verifier, _ := hmacsig.New(hmacsig.Config{
		Scheme: hmacsig.OpsMantik(), Keys: hmacsig.StaticKeys{"site-1": ring},
	})
	store := func() error { return io.ErrClosedPipe } // the queue is away
	handler := verifier.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted) // WRONG: too early
		if err := store(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable) // has no effect any more
		}
	}))

	signer, _ := hmacsig.NewSigner(hmacsig.SignerConfig{
		Scheme: hmacsig.OpsMantik(), KeyID: "site-1", Secret: secret,
	})
	request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
	_ = signer.Sign(request)
	for range 2 {
		request.Body, _ = request.GetBody()
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, request)
		fmt.Println(w.Code)
	}
	fmt.Println("the event is lost")
	// Output:
	// 202
	// 409
	// the event is lost
}

// A scheme of your own: a header with the time, one with the signature.
func ExampleScheme() {
	acme := hmacsig.Scheme{
		Name:     "acme",
		MaxAge:   5 * time.Minute,
		MaxAhead: time.Minute,
		Read: func(r *http.Request, m *hmacsig.Message) error {
			at, err := hmacsig.SingleHeader(r.Header, "Acme-Time")
			if err != nil {
				return err
			}
			signature, err := hmacsig.SingleHeader(r.Header, "Acme-Signature")
			if err != nil {
				return err
			}
			unix, err := strconv.ParseUint(at, 10, 40)
			if err != nil || !m.AddHex(signature) {
				return hmacsig.Fault(hmacsig.CodeSignatureMalformed)
			}
			m.Timestamp, m.Raw = int64(unix), at
			return nil
		},
		Base: func(dst []byte, _ *http.Request, m *hmacsig.Message) []byte {
			if m.Raw == "" { // signing
				m.Raw = strconv.FormatInt(m.Timestamp, 10)
			}
			return append(append(dst, m.Raw...), '|') // no digit, so it ends the time
		},
		Write: func(r *http.Request, m *hmacsig.Message, mac []byte) {
			r.Header.Set("Acme-Time", m.Raw)
			r.Header.Set("Acme-Signature", hex.EncodeToString(mac))
		},
	}
	secret := hmacsig.Generate()
	ring, _ := hmacsig.NewRotation(secret, hmacsig.Secret{})
	verifier, err := hmacsig.New(hmacsig.Config{Scheme: acme, Keys: hmacsig.StaticKeys{"": ring}})
	if err != nil {
		panic(err)
	}
	signer, _ := hmacsig.NewSigner(hmacsig.SignerConfig{Scheme: acme, Secret: secret})
	request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
	_ = signer.Sign(request)
	_, err = verifier.Check(request)
	fmt.Println(err)
	// Output: <nil>
}
