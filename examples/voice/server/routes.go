package server

import (
	"embed"
	"errors"
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
	mux := http.NewServeMux()
	handle := func(pattern string, h http.Handler) {
		s.served = append(s.served, pattern)
		mux.Handle(pattern, s.ownPages(h))
	}
	var broken []error
	granted := func(pattern string) func(http.Handler, error) {
		return func(h http.Handler, err error) {
			broken = append(broken, err)
			handle(pattern, s.sessions.Load(h))
		}
	}
	s.served = append(s.served, "GET /")
	mux.Handle("GET /", http.FileServerFS(files)) // a link from elsewhere may lead here
	handle("POST /login", s.sessions.Load(http.HandlerFunc(s.login)))
	handle("POST /logout", s.sessions.Wrap(http.HandlerFunc(s.logout)))
	granted("POST /sites/{site_id}/rooms/{room}/token")(tenancy.Route(s.access, s.token))
	handle("POST /sites/{site_id}/rooms/{room}/offer", s.tokens.Wrap(http.HandlerFunc(s.offer)))

	granted("GET /sites/{site_id}/recordings")(tenancy.Route(s.access, s.list))
	granted("POST /sites/{site_id}/recordings/{call}/{track}/link")(tenancy.Route(s.access, s.link))
	granted("PUT /sites/{site_id}/recordings/{call}/transcript")(
		tenancy.Route(s.access, s.setTranscript))
	granted("GET /sites/{site_id}/recordings/{call}/transcript")(tenancy.Route(s.access, s.transcript))
	granted("DELETE /sites/{site_id}/recordings/{call}")(tenancy.Route(s.access, s.erase))
	handle("GET /recordings/{site_id}/{call}/{track}", s.links.Wrap(http.HandlerFunc(s.play)))
	return headers(s.address.Wrap(s.limits.Wrap(mux))), errors.Join(broken...)
}

// ownPages refuses what pages of other origins ask for, reading included: it takes every
// request as one that changes something.
func (s *Server) ownPages(next http.Handler) http.Handler {
	own := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		probe := *r
		probe.Method = http.MethodPost
		if err := own.Check(&probe); err != nil {
			s.refuse(w, r, CodeForeignPage, err)
			return
		}
		next.ServeHTTP(w, r)
	})
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
