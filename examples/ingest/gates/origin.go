package gates

import (
	"mime"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport/cors"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
)

// newOrigin is the outermost gate of what customers' pages may do, which is to
// post events. Requests without Origin pass unless the
// browser says that another site caused them: first-party proxies, curl and
// the queue send neither header.
func newOrigin(cfg Config) (*cors.Gate, error) {
	s := cfg.Settings
	tenants := make(map[string][]string, len(s.Sites))
	for _, site := range s.Sites {
		tenants[site.ID] = site.Origins
	}
	own := s.PublicOrigins
	if len(own) == 0 {
		own = []string{"none"} // Sec-Fetch-Site alone recognises the server's pages
	}
	return cors.New(cors.Config{
		Origins:        s.AllowedOrigins,
		OwnOrigins:     own,
		Tenants:        tenants,
		RequestHeaders: []string{"X-Ops-Signature", "X-Ops-Site-Id", "X-Ops-Ts", "Content-Type"},
		ExposedHeaders: []string{
			"Retry-After", "X-Opsmantik-Ratelimit", "X-Opsmantik-Quota-Exceeded",
			"X-Opsmantik-Consent-Missing",
		},
		MaxAge:     10 * time.Minute,
		NoOrigin:   cors.NoOriginPass,
		ReportOnly: s.CORSReportOnly,
		OnEvent:    cfg.OnEvent,
	})
}

// newOwn is the gate of everything that acts for who is signed in. It knows
// the server's own origins alone: a customer's page that is of the same site, as
// shop.example.com beside ingest.example.com, is sent the visitor's cookies, and
// must not use them.
func newOwn(cfg Config) (*cors.Gate, error) {
	own := cfg.Settings.PublicOrigins
	if len(own) == 0 {
		own = []string{"none"} // as above
	}
	return cors.New(cors.Config{OwnOrigins: own, NoOrigin: cors.NoOriginPass, OnEvent: cfg.OnEvent})
}

// newCrossOrigin is the standard library's answer to the same question, by other
// means: it compares Origin with Host where there is no Sec-Fetch-Site.
func newCrossOrigin(cfg Config) (*http.CrossOriginProtection, error) {
	protection := http.NewCrossOriginProtection()
	for _, origin := range cfg.Settings.PublicOrigins {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reply.Problem(w, http.StatusForbidden, codeForeignPage, "Not from this server's own pages")
	}))
	return protection, nil
}

// codeForeignPage: 403. A page of another origin tries to act for who is signed in.
const codeForeignPage = "foreign_page"

// People puts h behind the gates of what acts for who is signed in: the server's
// own pages only, and JSON only where there is a body. A form cannot send JSON.
func (g *Gates) People(h http.Handler) http.Handler {
	return Behind(h, g.Own.Wrap, g.crossOrigin.Handler, jsonOnly)
}

func jsonOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if r.ContentLength != 0 && (err != nil || media != "application/json") {
			reply.Problem(w, http.StatusUnsupportedMediaType, codeJSONOnly, "Send application/json")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// codeJSONOnly: 415. A body that is not declared as application/json.
const codeJSONOnly = "json_only"

// SiteOrigin is the second question about an origin, once the site is known: is
// it one of this site's? It is reported, and enforced, as the first one is.
func (g *Gates) SiteOrigin(r *http.Request, site string) bool {
	return g.Origin.CheckTenant(r, site) == nil
}
