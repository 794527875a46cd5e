package gates

import (
	"net/http"
	"time"

	"github.com/opsmantik/sallyport"
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
	return cors.New(cors.Config{
		Origins:        s.AllowedOrigins,
		OwnOrigins:     s.PublicOrigins,
		Tenants:        tenants,
		RequestHeaders: []string{"X-Ops-Signature", "X-Ops-Site-Id", "X-Ops-Ts", "Content-Type"},
		ExposedHeaders: []string{
			"Retry-After", "X-Opsmantik-Ratelimit", "X-Opsmantik-Quota-Exceeded",
			"X-Opsmantik-Consent-Missing",
		},
		MaxAge:            10 * time.Minute,
		NoOrigin:          cors.NoOriginPass,
		ResourceIsolation: true,
		ReportOnly:        s.CORSReportOnly,
		OnDecision: func(r *http.Request, d cors.Decision) {
			cfg.OnEvent(r.Context(), sallyport.Event{
				Gate: "cors", Code: string(d.Reason), Allowed: d.Allowed, Request: r,
			})
		},
	})
}

// SiteOrigin is the second question about an origin, once the site is known: is
// it one of this site's? It is reported, and enforced, as the first one is.
func (g *Gates) SiteOrigin(r *http.Request, site, origin string) bool {
	if g.Origin.TenantAllows(site, origin) {
		return true
	}
	g.cfg.OnEvent(r.Context(), sallyport.Event{
		Gate: "cors", Code: string(cors.ReasonOriginNotListed), Policy: "site", Tenant: site, Request: r,
	})
	return g.cfg.Settings.CORSReportOnly
}
