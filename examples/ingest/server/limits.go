package server

import (
	"context"
	"net/http"

	"github.com/opsmantik/sallyport/examples/ingest/intake"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/ratelimit"
)

// callsPerMinute is the contract's limit for call events, per site, proxy host
// and client.
const callsPerMinute = 150

// limits counts requests, at the front door and again once the site is known.
type limits struct {
	*ratelimit.Limiter
	perSite int // /api/sync, per client address and site
	outage  ratelimit.Outage
}

// newLimits makes one limiter for all policies. What one address may send in
// all, before anything is known of it, is twice the largest budget behind it:
// enough for a busy proxy, and a bound on what a forger can make us compute.
func newLimits(s *settings.Settings, store ratelimit.Store, count counter) (*limits, error) {
	l := &limits{perSite: s.RatePerMinute, outage: outage(s.FailMode)}
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
		// No page may read the budget across origins, and who guesses passwords
		// must not: Retry-After says what a client needs.
		HideBudget: true,
		OnDecision: func(_ context.Context, d ratelimit.Decision) {
			reason := string(d.Reason)
			if d.Allowed {
				reason = "within_" + d.Policy
			}
			count("ratelimit", reason, d.Allowed)
		},
		OnReject: func(w http.ResponseWriter, _ *http.Request, rejection *ratelimit.Rejection) {
			if rejection.Status == http.StatusTooManyRequests {
				w.Header().Set("X-Opsmantik-Ratelimit", "1")
			}
			rejection.Write(w)
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

// sync counts a request against its address and site. A first-party proxy
// speaks for many visitors, so it gets the site's own rate; the address stays
// in the key, because the proxy's headers prove nothing.
func (l *limits) sync(w http.ResponseWriter, r *http.Request, c intake.Caller) bool {
	policy := ratelimit.Policy{Name: "sync", Limit: ratelimit.PerMinute(l.perSite), OnOutage: l.outage}
	if c.ProxyHost != "" {
		policy.Name = "sync-proxy"
		policy.Limit = ratelimit.PerMinute(c.Site.RatePerMinute)
	}
	policy.Key = clientKey(r, c)
	return l.Answer(w, r, l.Decide(r.Context(), policy))
}

// call counts a verified call event: against its client, and against what the
// site may send in all. The second budget is the signer's alone to spend.
func (l *limits) call(w http.ResponseWriter, r *http.Request, c intake.Caller) bool {
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
	addr, _ := ratelimit.FromContext(r.Context())
	return ratelimit.AddrKey(addr).With(c.Site.ID, c.ProxyHost).In(c.Site.ID)
}

// newClientAddr trusts X-Forwarded-For from the named proxies, and nothing
// from anybody else.
func newClientAddr(s *settings.Settings) (*ratelimit.ClientAddr, error) {
	cfg := ratelimit.ClientAddrConfig{TrustedProxies: s.TrustedProxies}
	if len(s.TrustedProxies) > 0 {
		cfg.Header = "X-Forwarded-For"
	}
	return ratelimit.NewClientAddr(cfg)
}
