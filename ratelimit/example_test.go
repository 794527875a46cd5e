package ratelimit_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
)

func Example() {
	addr, err := clientaddr.New(clientaddr.Config{})
	if err != nil {
		panic(err)
	}
	limiter, err := ratelimit.New(ratelimit.Config{
		Policies: []func(*http.Request) ratelimit.Policy{
			ratelimit.PerAddress("address", ratelimit.PerMinute(2)),
		},
	})
	if err != nil {
		panic(err)
	}
	handler := addr.Wrap(limiter.Wrap(http.NotFoundHandler()))

	for range 3 {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		fmt.Printf("%d %s %q\n", w.Code, w.Header().Get("RateLimit"), w.Header().Get("Retry-After"))
	}
	// Output:
	// 404 "address";r=1;t=30 ""
	// 404 "address";r=0;t=60 ""
	// 429 "address";r=0;t=30 "30"
}

// Inside a handler, once the tenant is known: the limit is part of the call.
func ExampleLimiter_Decide() {
	limiter, err := ratelimit.New(ratelimit.Config{})
	if err != nil {
		panic(err)
	}
	plans := map[string]int{"free": 1, "pro": 100}
	handler := func(w http.ResponseWriter, r *http.Request) {
		site, plan := r.FormValue("site"), r.FormValue("plan")
		if !limiter.Answer(w, r, limiter.Decide(r.Context(), ratelimit.Policy{
			Name:  "site",
			Key:   ratelimit.TextKey("reports").In(site),
			Limit: ratelimit.PerMinute(plans[plan]),
		})) {
			return
		}
		fmt.Fprint(w, "report")
	}
	for _, plan := range []string{"free", "free", "pro"} {
		w := httptest.NewRecorder()
		handler(w, httptest.NewRequest(http.MethodGet, "/?site="+plan+"&plan="+plan, nil))
		fmt.Println(plan, w.Code)
	}
	// Output:
	// free 200
	// free 429
	// pro 200
}

// A key made from a header that anybody can send limits nobody: each request
// brings a new bucket. Name the proxies whose header counts, and use
// package clientaddr.
func ExamplePerAddress_incorrect() {
	limiter, err := ratelimit.New(ratelimit.Config{
		Policies: []func(*http.Request) ratelimit.Policy{
			func(r *http.Request) ratelimit.Policy {
				claimed, _ := netip.ParseAddr(r.Header.Get("X-Forwarded-For")) // wrong
				return ratelimit.Policy{
					Name: "address", Key: ratelimit.AddrKey(claimed), Limit: ratelimit.PerMinute(1),
				}
			},
		},
	})
	if err != nil {
		panic(err)
	}
	handler := limiter.Wrap(http.NotFoundHandler())
	for i := range 3 {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 404
	// 404
	// 404
}
