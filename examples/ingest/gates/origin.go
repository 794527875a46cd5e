package gates

import (
	"net/http"
	"time"

	"github.com/opsmantik/sallyport/cors"
)

// newOrigin is the outermost gate. Requests without Origin pass unless the
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

// SiteOrigin is the second question about an origin, once the site is known: is
// it one of this site's? It is reported, and enforced, as the first one is.
func (g *Gates) SiteOrigin(r *http.Request, site string) bool {
	return g.Origin.CheckTenant(r, site) == nil
}
