package params

import "net/http"

// Site and Named are helpers of another package.
func Site(r *http.Request) string { return r.Header.Get("X-Site-Id") }

func Named(r *http.Request, name string) string { return r.URL.Query().Get(name) }

func Outer(r *http.Request) string { return Site(r) }

// Body is what a handler of another package decodes requests into.
type Body struct {
	Site string `param:"site_id"`
}
