package devicebound_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/sessions/devicebound"
)

type profile struct{ Device devicebound.Binding }

// A server that binds the sessions of browsers that can. This client cannot, and is
// let in as before.
func Example() {
	store, err := sessions.NewMemory(sessions.MemoryConfig{})
	if err != nil {
		panic(err)
	}
	sess, err := sessions.New[profile](sessions.Config{Store: store})
	if err != nil {
		panic(err)
	}
	device, err := devicebound.New(devicebound.Config[profile]{
		Sessions: sess,
		Binding:  func(p *profile) *devicebound.Binding { return &p.Device },
	})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /session/device", device.Register())
	mux.Handle("POST /session/device/refresh", device.Refresh())
	mux.Handle("POST /login", sess.Load(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			// ... after the password has been verified:
			login := sessions.Login{User: "ada", Level: sallyport.AAL1}
			if err := sess.Start(r.Context(), login, profile{}); err != nil {
				http.Error(w, "try again", http.StatusServiceUnavailable)
				return
			}
			if err := device.Offer(w, r); err != nil {
				http.Error(w, "try again", http.StatusServiceUnavailable)
			}
		})))
	mux.Handle("GET /account", device.Wrap(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") })))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/login", nil))
	fmt.Println(w.Code, w.Header().Get("Secure-Session-Registration") != "")
	r := httptest.NewRequest(http.MethodGet, "/account", nil)
	r.AddCookie(w.Result().Cookies()[0])
	w = httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output:
	// 200 true
	// 200 hello
}

// Offering on every page lets whoever holds a stolen cookie bind the session to a
// browser of his own, and locks its owner out: offer after Start and StepUp alone.
func ExampleGate_Offer_incorrect() {
	store, _ := sessions.NewMemory(sessions.MemoryConfig{})
	sess, _ := sessions.New[profile](sessions.Config{Store: store})
	device, _ := devicebound.New(devicebound.Config[profile]{
		Sessions: sess, Binding: func(p *profile) *devicebound.Binding { return &p.Device },
	})
	login := sess.Load(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = sess.Start(r.Context(), sessions.Login{User: "ada", Level: sallyport.AAL1}, profile{})
	}))
	anyPage := sess.Load(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = device.Offer(w, r) // wrong: nobody has just proved to be the user
	}))
	w := httptest.NewRecorder()
	login.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/login", nil))
	thief := httptest.NewRequest(http.MethodGet, "/", nil)
	thief.AddCookie(w.Result().Cookies()[0])
	w = httptest.NewRecorder()
	anyPage.ServeHTTP(w, thief)
	fmt.Println("a thief may register a key:", w.Header().Get("Secure-Session-Registration") != "")
	// Output: a thief may register a key: true
}
