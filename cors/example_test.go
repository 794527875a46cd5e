package cors_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/cors"
)

// A page on an unlisted origin does not make the handler run; a page on the
// listed one does, and may read the response.
func Example() {
	gate, err := cors.New(cors.Config{
		Origins:        []string{"https://shop.example.com"}, // or cors.FromEnv("ALLOWED_ORIGINS")
		OwnOrigins:     []string{"https://api.example.com"},
		Methods:        []string{"PUT"},
		RequestHeaders: []string{"X-Ops-Signature", "X-Ops-Ts"},
		ExposedHeaders: []string{"Retry-After"},
		OnEvent: func(_ context.Context, e sallyport.Event) {
			fmt.Println("decision:", e.Code)
		},
	})
	if err != nil {
		panic(err) // at start: every problem at once
	}
	handler := gate.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		fmt.Println("handler runs")
	}))
	for _, origin := range []string{"https://evil.test", "https://shop.example.com"} {
		r := httptest.NewRequest("POST", "/orders", nil)
		r.Header.Set("Origin", origin)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Printf("%d, readable by %q\n", w.Code, w.Header().Get("Access-Control-Allow-Origin"))
	}
	// Output:
	// decision: origin_not_listed
	// 403, readable by ""
	// decision: origin_listed
	// handler runs
	// 200, readable by "https://shop.example.com"
}

// The gate stops pages, not programs: Origin is what the client says. A server
// that takes "allowed" for "authenticated" hands its data to curl.
func Example_incorrect() {
	gate, err := cors.New(cors.Config{
		Origins:    []string{"https://admin.example.com"},
		OwnOrigins: []string{"https://api.example.com"},
	})
	if err != nil {
		panic(err)
	}
	secrets := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "the secrets") // Incorrect: nobody asked who this is.
	})
	curl := httptest.NewRequest("GET", "/secrets", nil) // -H 'Origin: ...' works as well
	w := httptest.NewRecorder()
	gate.Wrap(secrets).ServeHTTP(w, curl)
	fmt.Println(w.Code, w.Body)
	// Output: 200 the secrets
}

// A callback that another site posts to by design gets a Gate of its own. The
// exemption is explicit, has its own list, and ends with its route.
func ExampleGate_Wrap_exemption() {
	gate, err := cors.New(cors.Config{OwnOrigins: []string{"https://app.example.com"}})
	if err != nil {
		panic(err)
	}
	callback, err := cors.New(cors.Config{
		Origins:    []string{"https://login.idp.example"},
		OwnOrigins: []string{"https://app.example.com"},
	})
	if err != nil {
		panic(err)
	}
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	mux := http.NewServeMux()
	mux.Handle("/", gate.Wrap(ok))
	mux.Handle("POST /login/callback", callback.Wrap(ok))

	for _, path := range []string{"/", "/login/callback"} {
		r := httptest.NewRequest("POST", path, nil)
		r.Header.Set("Origin", "https://login.idp.example")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(path, w.Code)
	}
	// Output:
	// / 403
	// /login/callback 200
}

// A router that knows only the method of a route answers its preflight itself,
// with 405, and the page's PUT never comes. Wrap the router, or the whole path.
func ExampleGate_Wrap_incorrect() {
	gate, err := cors.New(cors.Config{
		Origins:    []string{"https://app.example.com"},
		OwnOrigins: []string{"https://api.example.com"},
		Methods:    []string{"PUT"},
	})
	if err != nil {
		panic(err)
	}
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	inside := http.NewServeMux()
	inside.Handle("PUT /orders", gate.Wrap(ok)) // Incorrect: an OPTIONS does not get here.
	router := http.NewServeMux()
	router.Handle("PUT /orders", ok)

	for _, handler := range []http.Handler{inside, gate.Wrap(router)} {
		preflight := httptest.NewRequest("OPTIONS", "/orders", nil)
		preflight.Header.Set("Origin", "https://app.example.com")
		preflight.Header.Set("Access-Control-Request-Method", "PUT")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, preflight)
		fmt.Printf("%d, allowed %q\n", w.Code, w.Header().Get("Access-Control-Allow-Methods"))
	}
	// Output:
	// 405, allowed ""
	// 204, allowed "PUT"
}

// A server that learns the tenant from the body asks twice: the gate in front
// by the platform's list, and then for the tenant.
func ExampleGate_CheckTenant() {
	gate, err := cors.New(cors.Config{
		Origins:    []string{"https://one.example", "https://two.example"},
		OwnOrigins: []string{"https://api.example.com"},
		Tenants: map[string][]string{
			"site-1": {"https://one.example"},
			"site-2": {"https://two.example"},
		},
	})
	if err != nil {
		panic(err)
	}
	for _, site := range []string{"site-1", "site-2"} {
		r := httptest.NewRequest("POST", "/events", nil) // its body names the site
		r.Header.Set("Origin", "https://one.example")
		err := gate.CheckTenant(r, site)
		refused, _ := errors.AsType[*sallyport.Refusal](err)
		fmt.Println(site, refused == nil || refused.Code != cors.CodeTenantOriginNotListed)
	}
	// Output:
	// site-1 true
	// site-2 false
}
