package cors_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	gincors "github.com/gin-contrib/cors"
	"github.com/gin-gonic/gin"
	chicors "github.com/go-chi/cors"
	"github.com/gorilla/handlers"
	"github.com/opsmantik/sallyport/cors"
	rscors "github.com/rs/cors"
)

// recorder is the cheapest http.ResponseWriter: what is measured is the gate.
type recorder struct{ header http.Header }

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) Write(p []byte) (int, error) { return len(p), nil }
func (w *recorder) WriteHeader(int)             {}

var (
	inner   = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	methods = []string{"PUT", "PATCH", "DELETE"}
	headers = []string{"Authorization", "X-Ops-Signature", "X-Ops-Site-Id", "X-Ops-Ts"}
)

// originAt names the i-th origin of a list; the last one is asked for.
func originAt(i int) string { return fmt.Sprintf("https://customer-%05d.example.com", i) }

func originList(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = originAt(i)
	}
	return list
}

type peer struct {
	name string
	wrap func(origins []string) http.Handler
}

func peers() []peer {
	gin.SetMode(gin.ReleaseMode)
	return []peer{
		{"floor", func([]string) http.Handler { return inner }},
		{"sallyport", sallyport},
		{"rs", func(origins []string) http.Handler {
			return rscors.New(rscors.Options{
				AllowedOrigins: origins, AllowedMethods: methods, AllowedHeaders: headers,
			}).Handler(inner)
		}},
		{"chi", func(origins []string) http.Handler {
			return chicors.Handler(chicors.Options{
				AllowedOrigins: origins, AllowedMethods: methods, AllowedHeaders: headers,
			})(inner)
		}},
		{"gorilla", func(origins []string) http.Handler {
			return handlers.CORS(handlers.AllowedOrigins(origins), handlers.AllowedMethods(methods),
				handlers.AllowedHeaders(headers))(inner)
		}},
		{"gin", func(origins []string) http.Handler {
			engine := gin.New()
			engine.Use(gincors.New(gincors.Config{
				AllowOrigins: origins, AllowMethods: methods, AllowHeaders: headers,
			}))
			engine.Any("/", func(*gin.Context) {})
			return engine
		}},
	}
}

var none = []string{"none"}

func sallyport(origins []string) http.Handler {
	gate, err := cors.New(cors.Config{
		Origins: origins, Methods: methods, RequestHeaders: headers,
		OwnOrigins: none, NoOrigin: cors.NoOriginPass,
	})
	if err != nil {
		panic(err)
	}
	return gate.Wrap(inner)
}

type request struct {
	name string
	make func(n int) *http.Request
}

func newRequest(method string, pairs ...string) *http.Request {
	r, err := http.NewRequest(method, "/", nil)
	if err != nil {
		panic(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		r.Header.Set(pairs[i], pairs[i+1])
	}
	return r
}

const asked = "x-ops-signature,x-ops-site-id,x-ops-ts"

func preflight(origin, names string) *http.Request {
	return newRequest("OPTIONS", "Origin", origin, "Sec-Fetch-Site", "cross-site",
		"Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", names)
}

func requests() []request {
	const evil = "https://evil.example.net"
	return []request{
		{"no_origin", func(int) *http.Request { return newRequest("GET") }},
		{"allowed", func(n int) *http.Request {
			return newRequest("POST", "Origin", originAt(n-1), "Sec-Fetch-Site", "cross-site")
		}},
		{"disallowed", func(int) *http.Request {
			return newRequest("POST", "Origin", evil, "Sec-Fetch-Site", "cross-site")
		}},
		{"preflight", func(n int) *http.Request { return preflight(originAt(n-1), asked) }},
		{"denied_preflight", func(int) *http.Request { return preflight(evil, asked) }},
		{"denied_header", func(n int) *http.Request { return preflight(originAt(n-1), "x-other") }},
	}
}

// hostile has headers of a megabyte, as far as a server's limit lets them in.
func hostile() []request {
	const size = 1 << 20
	var names strings.Builder
	for i := 0; names.Len() < size; i++ {
		fmt.Fprintf(&names, "x-%d,", i)
	}
	return []request{
		{"commas", func(n int) *http.Request {
			return preflight(originAt(n-1), strings.Repeat(",", size))
		}},
		{"names", func(n int) *http.Request { return preflight(originAt(n-1), names.String()) }},
		{"listed_name_repeated", func(n int) *http.Request {
			return preflight(originAt(n-1), strings.Repeat("x-ops-ts,", size/9))
		}},
		{"empty_lines", func(n int) *http.Request {
			r := preflight(originAt(n-1), "")
			r.Header["Access-Control-Request-Headers"] = make([]string, size)
			return r
		}},
		{"origin", func(int) *http.Request {
			return preflight("https://"+strings.Repeat("A", size)+".example.com", asked)
		}},
		{"method", func(n int) *http.Request {
			r := preflight(originAt(n-1), asked)
			r.Header.Set("Access-Control-Request-Method", strings.Repeat("A", size))
			return r
		}},
	}
}

// serve runs one request over and over, with the same cleared header map, so
// that making it is nobody's cost.
func serve(b *testing.B, h http.Handler, r *http.Request) {
	w := &recorder{make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}

func BenchmarkGate(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		for _, req := range requests() {
			if n > 1 && req.name == "no_origin" {
				continue
			}
			for _, p := range peers() {
				if p.name == "gin" && n > 100 {
					continue // a millisecond per request; see the 100 row
				}
				r := req.make(n)
				b.Run(fmt.Sprintf("%s/%d/%s", req.name, n, p.name), func(b *testing.B) {
					serve(b, p.wrap(originList(n)), r)
				})
			}
		}
	}
}

func BenchmarkHostile(b *testing.B) {
	all := append([]request{{"small", func(n int) *http.Request {
		return preflight(originAt(n-1), "x-other")
	}}}, hostile()...)
	for _, req := range all {
		for _, p := range peers()[:3] {
			r := req.make(1)
			b.Run(req.name+"/"+p.name, func(b *testing.B) { serve(b, p.wrap(originList(1)), r) })
		}
	}
}
