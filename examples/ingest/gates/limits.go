package gates

import (
	"net/http"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/ingest/intake"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
)

// callsPerMinute is the contract's limit for call events, per site, proxy host
// and client.
const callsPerMinute = 150

// Limits counts requests, at the front door and again once the site is known.
type Limits struct {
	*ratelimit.Limiter
	perSite int // /api/sync, per client address and site
	outage  ratelimit.Outage
}

// newLimits makes one limiter for all policies. What one address may send in
// all, before anything is known of it, is twice the largest budget behind it:
// enough for a busy proxy, and a bound on what a forger can make us compute.
func newLimits(cfg Config, store ratelimit.Store) (*Limits, error) {
	s := cfg.Settings
	l := &Limits{perSite: s.RatePerMinute, outage: outage(s.FailMode)}
	front := l.perSite
	for _, site := range s.Sites {
		front = max(front, site.RatePerMinute)
	}
	address := ratelimit.PerAddress("address", ratelimit.PerMinute(2*front))
	var err error
	l.Limiter, err = ratelimit.New(ratelimit.Config{
		Policies: []func(*http.Request) ratelimit.Policy{
			func(r *http.Request) ratelimit.Policy {
				policy := address(r)
				policy.OnOutage = l.outage
				return policy
			},
		},
		Store: store,
		// Programs see their budget. Pages elsewhere do not, as long as cors exposes no
		// RateLimit fields, and the guard of sign-ins shows nobody any.
		OnEvent: cfg.OnEvent,
		OnReject: func(w http.ResponseWriter, _ *http.Request, refused *sallyport.Refusal) {
			if refused.Status == http.StatusTooManyRequests {
				w.Header().Set("X-Opsmantik-Ratelimit", "1")
			}
			refused.Write(w)
		},
	})
	return l, err
}

func outage(mode settings.FailMode) ratelimit.Outage {
	switch mode {
	case settings.FailLocal:
		return ratelimit.Local
	case settings.FailOpen:
		return ratelimit.Open
	default:
		return ratelimit.Closed
	}
}

// Sync counts a request against its address and site. A first-party proxy
// speaks for many visitors, so it gets the site's own rate; the address stays
// in the key, because the proxy's headers prove nothing.
func (l *Limits) Sync(w http.ResponseWriter, r *http.Request, c intake.Caller) bool {
	policy := ratelimit.Policy{Name: "sync", Limit: ratelimit.PerMinute(l.perSite), OnOutage: l.outage}
	if c.ProxyHost != "" {
		policy.Name = "sync-proxy"
		policy.Limit = ratelimit.PerMinute(c.Site.RatePerMinute)
	}
	policy.Key = clientKey(r, c)
	return l.Answer(w, r, l.Decide(r.Context(), policy))
}

// Call counts a verified call event: against its client, and against what the
// site may send in all. The second budget is the signer's alone to spend.
func (l *Limits) Call(w http.ResponseWriter, r *http.Request, c intake.Caller) bool {
	return l.Answer(w, r, l.Decide(r.Context(),
		ratelimit.Policy{
			Name: "call-event", Limit: ratelimit.PerMinute(callsPerMinute),
			Key: clientKey(r, c), OnOutage: l.outage,
		},
		ratelimit.Policy{
			Name: "site", Limit: ratelimit.PerMinute(c.Site.RatePerMinute),
			Key: ratelimit.TextKey(c.Site.ID).In(c.Site.ID), OnOutage: l.outage,
		},
	))
}

func clientKey(r *http.Request, c intake.Caller) ratelimit.Key {
	addr, _ := clientaddr.FromContext(r.Context())
	return ratelimit.AddrKey(addr).With(c.Site.ID, c.ProxyHost).In(c.Site.ID)
}
