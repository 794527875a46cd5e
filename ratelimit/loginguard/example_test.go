package loginguard_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/opsmantik/sallyport/ratelimit/loginguard"
)

func Example() {
	guard, err := loginguard.New(loginguard.Config{
		Failures: 2, DeviceSecret: []byte("the same sixteen or more in every instance"),
	})
	if err != nil {
		panic(err)
	}
	login := func(w http.ResponseWriter, r *http.Request) {
		email, device := r.FormValue("email"), ""
		if cookie, err := r.Cookie("__Host-device"); err == nil {
			device = cookie.Value
		}
		attempt, err := guard.Begin(r.Context(), loginguard.Login{
			Addr:    netip.MustParseAddr("192.0.2.1"), // clientaddr.FromContext
			Account: email, Device: device, Request: r,
		})
		if !guard.Answer(w, r, err) {
			return
		}
		defer attempt.Release()
		if attempt.Wait(r.Context()) != nil {
			return // it has gone
		}
		if r.FormValue("password") != "right" { // use a password hash
			attempt.Fail(r.Context())
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if err := attempt.Succeed(r.Context()); err != nil {
			fmt.Println("log it:", err)
		}
		http.SetCookie(w, &http.Cookie{
			Name: "__Host-device", Value: guard.Remember(email), Path: "/", MaxAge: 180 * 24 * 3600,
			HttpOnly: true, Secure: true, SameSite: http.SameSiteStrictMode,
		})
	}
	var device *http.Cookie
	try := func(password string, known bool) {
		r := httptest.NewRequest(http.MethodPost, "/?email=a@example.test&password="+password, nil)
		if known {
			r.AddCookie(device)
		}
		w := httptest.NewRecorder()
		login(w, r)
		if w.Code == http.StatusOK {
			device = w.Result().Cookies()[0]
		}
		fmt.Println(password, known, w.Code)
	}
	try("right", false)
	try("wrong", false)
	try("wrong", false)
	try("right", false) // the address is banned from this account
	try("right", true)  // the owner's own device is not
	// Output:
	// right false 200
	// wrong false 401
	// wrong false 401
	// right false 429
	// right true 200
}

// An attempt of which nothing is reported was none: guesses are free where Fail is
// forgotten.
func Example_incorrect() {
	guard, err := loginguard.New(loginguard.Config{Failures: 2})
	if err != nil {
		panic(err)
	}
	guesses := 0
	for range 100 {
		attempt, err := guard.Begin(context.Background(), loginguard.Login{
			Addr: netip.MustParseAddr("192.0.2.1"), Account: "a@example.test",
		})
		if err != nil {
			break
		}
		guesses++
		attempt.Release() // wrong: the password was checked, and attempt.Fail never called
	}
	fmt.Println(guesses)
	// Output:
	// 100
}
