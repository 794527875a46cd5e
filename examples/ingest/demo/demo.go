// Package demo serves the page a newcomer opens first: a customer's page, on
// an origin of its own, with a small tracker that follows the wire contract.
package demo

import (
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
)

//go:embed page.html static
var files embed.FS

var page = template.Must(template.ParseFS(files, "page.html"))

// Page is what the page is rendered from.
type Page struct {
	SiteID string
	// Secret is in the page for everyone to read. That is how the browser
	// tracker signs without a server; production pages use a first-party proxy
	// that keeps the secret and signs for them.
	Secret string
	API    string // URL of /api/sync
}

// Handler serves /demo and its assets.
func Handler(p Page) (http.Handler, error) {
	api, err := url.Parse(p.API)
	if err != nil || api.Host == "" {
		return nil, fmt.Errorf("demo: API: %q is not an absolute URL", p.API)
	}
	static, err := fs.Sub(files, "static")
	if err != nil {
		return nil, err
	}
	policy := fmt.Sprintf("default-src 'none'; script-src 'self'; style-src 'self'; "+
		"connect-src %s://%s; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		api.Scheme, api.Host)
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", http.RedirectHandler("/demo", http.StatusSeeOther))
	mux.Handle("GET /demo/", http.StripPrefix("/demo/", http.FileServerFS(static)))
	mux.HandleFunc("GET /demo", func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		_ = page.Execute(w, p) // the client may be gone
	})
	return mux, nil
}
