// Package gates configures every gate of the server, one file per gate, and
// says in which order they stand. What a gate does is in the library; here is
// only what this server asks of it.
package gates

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/cors"
	"github.com/opsmantik/sallyport/examples/ingest/account"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
	"github.com/opsmantik/sallyport/ratelimit/loginguard"
	"github.com/opsmantik/sallyport/sessions/tracker"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/apikey"
)

// Config is what the gates are made from. All fields are required.
type Config struct {
	Settings *settings.Settings
	Log      *slog.Logger
	// OnEvent receives every decision of every gate.
	OnEvent func(context.Context, sallyport.Event)
	// SiteOfCall names the site that a call belongs to. It fails with
	// store.ErrNoCall for a call that is not there.
	SiteOfCall func(ctx context.Context, call string) (site string, err error)
	// APIKeys keeps the keys of machine clients.
	APIKeys store.APIKeys
	// Record appends to the audit log.
	Record func(context.Context, audit.Record) error
	Memory *Memory
}

// Gates is every gate of the server.
type Gates struct {
	Origin     *cors.Gate // customers' pages: events
	Own        *cors.Gate // the server's own pages: everything else
	Address    *clientaddr.Gate
	Limits     *Limits
	Calls      *hmacsig.Verifier // signatures of call events
	Deliveries *hmacsig.Verifier // signatures of the queue
	Sessions   *account.Sessions
	Device     *account.Device  // which of them are bound to a browser
	Visits     *tracker.Tracker // of pages, not of people who sign in
	Logins     *loginguard.Guard
	Access     *tenancy.Gate
	Keys       *apikey.Gate // of machine clients

	identify    func(*http.Request) (sallyport.Principal, error)
	crossOrigin *http.CrossOriginProtection
	uploads     *uploads

	cfg Config
}

// New makes the gates. They hold nothing that has to be closed.
func New(cfg Config) (*Gates, error) {
	g := &Gates{cfg: cfg, uploads: cfg.Memory.uploads}
	if err := g.open(cfg.Memory); err != nil {
		return nil, err
	}
	return g, nil
}

func (g *Gates) open(memory *Memory) (err error) {
	for _, gate := range []func() error{
		func() error { g.Origin, err = newOrigin(g.cfg); return err },
		func() error { g.Own, err = newOwn(g.cfg); return err },
		func() error { g.crossOrigin, err = newCrossOrigin(g.cfg); return err },
		func() error { g.Address, err = newAddress(g.cfg); return err },
		func() error { g.Limits, err = newLimits(g.cfg, memory.limits); return err },
		func() error { g.Calls, err = newCalls(g.cfg, memory.calls); return err },
		func() error { g.Deliveries, err = newDeliveries(g.cfg, memory.deliveries); return err },
		func() error { g.Sessions, err = newSessions(g.cfg, memory.sessions); return err },
		func() error { g.Device, err = newDevice(g.cfg, g.Sessions); return err },
		func() error { g.Visits, err = tracker.New(tracker.Config{Store: memory.visits}); return err },
		func() error { g.Logins, err = newLogins(g.cfg, memory.logins); return err },
		func() error { g.Keys, err = newKeys(g.cfg); return err },
		func() error {
			g.identify = newWho(g.cfg, newIdentify(g.cfg.Settings, g.Sessions))
			g.Access, err = newAccess(g.cfg, g)
			return err
		},
	} {
		if err := gate(); err != nil {
			return err
		}
	}
	return nil
}

// Gate wraps a handler with one check.
type Gate func(http.Handler) http.Handler

// Behind puts h behind the gates, the first one outermost.
func Behind(h http.Handler, gates ...Gate) http.Handler {
	for i := len(gates) - 1; i >= 0; i-- {
		h = gates[i](h)
	}
	return h
}
