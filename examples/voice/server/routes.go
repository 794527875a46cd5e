package server

import (
	"embed"
	"io/fs"
	"net/http"
	"slices"

	"github.com/opsmantik/sallyport/tenancy"
)

//go:embed page
var page embed.FS

// routes says which handler stands behind which gates.
func (s *Server) routes() (http.Handler, error) {
	files, err := fs.Sub(page, "page")
	if err != nil {
		return nil, err
	}
	token, err := tenancy.Route(s.access, s.token)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	handle := func(pattern string, h http.Handler) {
		s.served = append(s.served, pattern)
		mux.Handle(pattern, h)
	}
	handle("GET /", http.FileServerFS(files))
	handle("POST /login", s.sessions.Load(http.HandlerFunc(s.login)))
	handle("POST /logout", s.sessions.Wrap(http.HandlerFunc(s.logout)))
	handle("POST /sites/{site_id}/rooms/{room}/token", s.sessions.Load(token))
	handle("POST /sites/{site_id}/rooms/{room}/offer", s.tokens.Wrap(http.HandlerFunc(s.offer)))
	own := http.NewCrossOriginProtection()
	own.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, CodeForeignPage, nil)
	}))
	return headers(s.address.Wrap(s.limits.Wrap(own.Handler(mux)))), nil
}

// Served returns the patterns of all routes.
func (s *Server) Served() []string { return slices.Clone(s.served) }

// headers are for the page: it loads nothing from elsewhere, and nobody frames it.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; "+
			"connect-src 'self'; media-src 'self' blob:; form-action 'self'; "+
			"base-uri 'none'; frame-ancestors 'none'")
		h.Set("Permissions-Policy", "microphone=(self), camera=(), geolocation=()")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}
