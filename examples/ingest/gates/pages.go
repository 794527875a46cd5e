package gates

import (
	"mime"
	"net/http"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/tenancy"
)

// Pages puts h behind the gates of the server's own pages: their forms come from
// them, or from nowhere. What a page shows and does stands behind the gates of the
// API besides.
func (g *Gates) Pages(h http.Handler) http.Handler {
	return Behind(h, g.Own.Wrap, g.crossOrigin.Handler, formOnly)
}

func formOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if r.ContentLength != 0 && (err != nil || media != "application/x-www-form-urlencoded") {
			http.Error(w, http.StatusText(http.StatusUnsupportedMediaType), http.StatusUnsupportedMediaType)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Needed is how strongly a role must have authenticated to act.
func (g *Gates) Needed(role string) sallyport.Level {
	if level := roles(g.cfg.Settings)[tenancy.Role(role)].Level; level != 0 {
		return level
	}
	return sallyport.AAL2
}
