package clientaddr_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
)

func Example() {
	gate, err := clientaddr.New(clientaddr.Config{
		Header:         "X-Forwarded-For",
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	})
	if err != nil {
		panic(err)
	}
	show := gate.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		addr, _ := clientaddr.FromContext(r.Context())
		fmt.Println(addr)
	}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Forwarded-For", "203.0.113.99, 198.51.100.7") // the first is the client's own
	r.RemoteAddr = "10.0.0.1:4711"
	show.ServeHTTP(httptest.NewRecorder(), r)
	r.RemoteAddr = "192.0.2.1:4711" // past the proxy
	show.ServeHTTP(httptest.NewRecorder(), r)
	// Output:
	// 198.51.100.7
	// 192.0.2.1
}

// A set-up is checked by what a liar gets: whatever headers he sends through your
// proxy, the answer is his own address.
func ExampleGate_verify() {
	gate, err := clientaddr.New(clientaddr.Config{
		Header: "X-Forwarded-For", TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
	})
	if err != nil {
		panic(err)
	}
	liar, claimed := "198.51.100.7", "203.0.113.99"
	for _, header := range []string{"X-Forwarded-For", "X-Real-IP", "CF-Connecting-IP", "Forwarded"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = "127.0.0.1:4711" // your proxy, which appends to the chain
		r.Header.Set(header, claimed)
		chain := r.Header.Values("X-Forwarded-For")
		r.Header["X-Forwarded-For"] = append(chain, liar)
		addr, err := gate.Check(r)
		fmt.Println(header, addr, err)
	}
	// Output:
	// X-Forwarded-For 198.51.100.7 <nil>
	// X-Real-IP 198.51.100.7 <nil>
	// CF-Connecting-IP 198.51.100.7 <nil>
	// Forwarded 198.51.100.7 <nil>
}

// A proxy that is trusted for a header which it does not write lets clients choose
// their address: this one appends to X-Forwarded-For and passes X-Real-IP on.
func Example_incorrect() {
	gate, err := clientaddr.New(clientaddr.Config{
		Header:         "X-Real-IP", // wrong: nobody but the client writes it
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
	})
	if err != nil {
		panic(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "127.0.0.1:4711"
	r.Header.Set("X-Real-IP", "203.0.113.99")
	r.Header.Set("X-Forwarded-For", "198.51.100.7")
	addr, err := gate.Check(r)
	fmt.Println(addr, err)
	// Output:
	// 203.0.113.99 <nil>
}
