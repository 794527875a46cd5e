package watchtower

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit/watch"
	"github.com/opsmantik/sallyport/cors"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
	"github.com/opsmantik/sallyport/ratelimit/loginguard"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/apikey"
)

// Rules are what this server watches. They are a start to tune from, with the traffic
// of one's own: see docs/watching.md.
func Rules(sites []string) watch.Config {
	return watch.Config{
		Tenants: sites, Address: address,
		Series: series(), Ratios: ratios(),
		Scenarios: append(signIns(), requests()...),
		Novelties: novelties(), Gauges: gauges(),
	}
}

// address is the client's, as the gate of addresses has proved it.
func address(r *http.Request) netip.Addr {
	if addr, ok := clientaddr.FromContext(r.Context()); ok {
		return addr
	}
	return netip.Addr{}
}

func codes(all ...string) watch.Match { return watch.Match{Codes: all} }

func series() []watch.Series {
	const traffic = "is it a launch? else see the top addresses in the log, and their codes"
	return []watch.Series{
		{Name: "decisions", PerTenant: true, Hint: traffic},
		{
			Name: "refused", Match: watch.Match{Outcome: watch.Refused}, PerTenant: true,
			Top: watch.Address, Hint: "see which code rises in sallyport_decisions_total",
		},
		{Name: "signed", Match: watch.Match{Gate: "hmacsig"}, PerTenant: true, Hint: traffic},
		{
			Name: "forged", Match: watch.Match{
				Codes:   []string{hmacsig.CodeSignatureInvalid, hmacsig.CodeSignatureMalformed},
				Outcome: watch.Refused,
			},
			PerTenant: true, Top: watch.Address,
			Hint: "was a secret rotated on one side only? else somebody guesses",
		},
		{
			Name: "failed-sign-ins", Match: codes(loginguard.CodeFailed), Top: watch.Address,
			Hint: "see the top addresses; the guard bans each of them by itself",
		},
	}
}

func ratios() []watch.Ratio {
	return []watch.Ratio{
		{
			Name: "refused-share", Part: "refused", Whole: "decisions", Usual: 0.03,
			Hint: "see which code rises in sallyport_decisions_total",
		},
		{
			Name: "forged-share", Part: "forged", Whole: "signed", Usual: 0.01,
			Hint: "was a secret rotated on one side only? else somebody guesses",
		},
	}
}

// signIns are about passwords and second factors. What was typed is never shown.
func signIns() []watch.Scenario {
	failed := codes(loginguard.CodeFailed)
	return []watch.Scenario{
		{
			Name: "password-spraying", Match: failed, Per: watch.All, Distinct: watch.Actor,
			Capacity: 20, Leak: time.Minute, Page: true,
			Hint: "many accounts fail at once: warn the users, and ask for second factors",
		},
		{
			Name: "account-from-many-addresses", Match: failed, Per: watch.Actor,
			Distinct: watch.Address, Capacity: 8, Leak: 10 * time.Minute,
			Hint: "one account is tried from many places: end its sessions, ask its user",
		},
		{
			Name: "bans", Match: codes(loginguard.CodeBanned), Per: watch.All,
			Capacity: 5, Leak: 10 * time.Minute, Page: true,
			Hint: "several clients were banned: see the lines 'ban started' in the log",
		},
		{
			Name: "second-factor-paused", Match: codes(loginguard.CodeFactorPaused), Per: watch.All,
			Leak: time.Hour, Page: true,
			Hint: "somebody has a password already: end the user's sessions, change it",
		},
	}
}

func requests() []watch.Scenario {
	return []watch.Scenario{
		{
			Name: "tenant-probing", Match: codes(tenancy.CodeNotFound), Per: watch.Actor,
			Distinct: watch.Tenant, Capacity: 5, Leak: 10 * time.Minute, Page: true, Show: true,
			Hint: "a signed-in user tries sites that are not theirs: end the sessions",
		},
		{
			Name: "forgery", Match: codes(hmacsig.CodeSignatureInvalid), Per: watch.Address,
			Capacity: 20, Leak: 30 * time.Second, Show: true,
			Hint: "one address sends wrong signatures: a broken client, or somebody guesses",
		},
		{
			Name: "replay-burst", Match: codes(hmacsig.CodeReplayed), Per: watch.Address,
			Capacity: 100, Leak: time.Second, Show: true,
			Hint: "one address repeats accepted requests; none had an effect",
		},
		{
			Name: "limiter-out", Per: watch.All, Capacity: 10, Leak: 10 * time.Second, Page: true,
			Match: codes(ratelimit.CodeUnavailable, loginguard.CodeUnavailable),
			Hint:  "the store of the limits does not answer: see Redis",
		},
		{
			Name: "leaked-key", Match: codes(apikey.CodeLeaked), Per: watch.All, Leak: time.Hour,
			Page: true, Hint: "an API key was found in public and ended: tell whose it is",
		},
	}
}

func novelties() []watch.Novelty {
	return []watch.Novelty{
		{
			Name: "service-role", Match: codes(tenancy.CodeServiceGranted), By: watch.Actor,
			Learn: 24 * time.Hour, Page: true,
			Hint: "a job used the service role for the first time: was it deployed?",
		},
		{
			Name: "new-origin", Match: codes(cors.CodeOriginListed, cors.CodeTenantOriginListed),
			By: watch.Origin, Learn: 7 * 24 * time.Hour,
			Hint: "a listed page sends its first events",
		},
		{
			Name: "retiring-key", Match: codes(hmacsig.CodeSignatureVerified), Value: retiring,
			Hint: "a client still signs with the old secret: tell it before the secret goes",
		},
	}
}

// retiring is the site whose old secret was used.
func retiring(e sallyport.Event) string {
	if proof, ok := e.Detail.(hmacsig.Proof); ok && proof.Retiring {
		return e.Actor
	}
	return ""
}

// The gauges.
const (
	gaugeLag  = "queue-lag"
	gaugeDead = "dead-letters"
)

func gauges() []watch.Gauge {
	return []watch.Gauge{
		{
			Name: gaugeLag, Limit: 60, For: 2 * time.Minute, Page: true,
			Hint: "events wait: see 'delivery failed' in the log, and the store",
		},
		{
			Name: gaugeDead, Limit: 0, For: time.Minute,
			Hint: "see GET /api/queue/dead, and replay once the cause is gone",
		},
	}
}
