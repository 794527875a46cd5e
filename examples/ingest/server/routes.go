package server

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/opsmantik/sallyport/examples/ingest/account"
	"github.com/opsmantik/sallyport/examples/ingest/apikeys"
	"github.com/opsmantik/sallyport/examples/ingest/calls"
	"github.com/opsmantik/sallyport/examples/ingest/delivery"
	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/fields"
	"github.com/opsmantik/sallyport/examples/ingest/gates"
	"github.com/opsmantik/sallyport/examples/ingest/intake"
	"github.com/opsmantik/sallyport/examples/ingest/pages"
	"github.com/opsmantik/sallyport/examples/ingest/password"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/examples/ingest/trail"
	"github.com/opsmantik/sallyport/examples/ingest/watchtower"
	"github.com/opsmantik/sallyport/tenancy"
)

// routes says which handler stands behind which gates. The order is that of
// docs/ordering.md. There are two trust domains: customers' pages may post
// events, and only the server's own pages may act for who is signed in.
func (srv *generation) routes() (http.Handler, error) {
	g, log, db := srv.gates, srv.log, srv.cfg.Store
	var err error
	if srv.intake, err = srv.newIntake(); err != nil {
		return nil, err
	}
	accounts, err := srv.newAccounts()
	if err != nil {
		return nil, err
	}
	in, admin := srv.intake, &calls.Calls{Store: db, Log: log}

	events := newTable(g.Origin.Wrap)
	events.handle("POST /api/sync", http.HandlerFunc(in.Sync),
		g.Address.Wrap, g.Limits.Wrap, g.Uploads)
	events.handle("POST /api/call-event/v2", http.HandlerFunc(in.Call),
		g.Address.Wrap, g.Limits.Wrap, g.Uploads, g.Calls.Wrap)
	events.handle("OPTIONS /api/sync", http.HandlerFunc(options), g.Address.Wrap, g.Limits.Wrap)
	events.handle("OPTIONS /api/call-event/v2", http.HandlerFunc(options), g.Address.Wrap, g.Limits.Wrap)

	people := newTable(g.People, g.Address.Wrap, g.Limits.Wrap)
	people.handle("POST /auth/login", http.HandlerFunc(accounts.Login), g.Sessions.Load)
	people.handle("POST "+gates.DevicePath, g.Device.Register())
	people.handle("POST "+gates.DeviceRefreshPath, g.Device.Refresh())
	people.handle("POST /auth/totp", http.HandlerFunc(accounts.TOTP), g.Device.Wrap)
	people.handle("POST /auth/key/options", http.HandlerFunc(accounts.AssertOptions), g.Device.Wrap)
	people.handle("POST /auth/key", http.HandlerFunc(accounts.Assert), g.Device.Wrap)
	people.handle("GET /auth/keys", http.HandlerFunc(accounts.ListKeys), g.Device.Wrap)
	people.handle("POST /auth/key/new", http.HandlerFunc(accounts.KeyOptions), g.Device.Wrap)
	people.handle("POST /auth/keys", http.HandlerFunc(accounts.AddKey), g.Device.Wrap)
	people.handle("DELETE /auth/keys/{id}", http.HandlerFunc(accounts.RemoveKey), g.Device.Wrap)
	people.handle("POST /auth/recovery", http.HandlerFunc(accounts.Recovery), g.Device.Wrap)
	people.handle("POST /auth/logout", http.HandlerFunc(accounts.Logout), g.Sessions.Load)
	people.handle("GET /auth/sessions", http.HandlerFunc(accounts.List), g.Device.Wrap)
	people.handle("DELETE /auth/sessions", http.HandlerFunc(accounts.EndOthers), g.Device.Wrap)
	people.handle("GET /auth/me", http.HandlerFunc(accounts.Me), g.Device.Wrap)
	people.handle("DELETE /auth/sessions/{id}", http.HandlerFunc(accounts.End), g.Device.Wrap)

	var broken []error
	granted := func(pattern string) func(http.Handler, error) {
		return func(h http.Handler, err error) {
			broken = append(broken, err)
			people.handle(pattern, h, g.Sessions.Load, g.Bound, g.SecondFactor)
		}
	}
	// readable is for people and, within their scopes, for API keys.
	readable := func(pattern string) func(http.Handler, error) {
		return func(h http.Handler, err error) {
			broken = append(broken, err)
			people.handle(pattern, h, g.KeyOr(g.Sessions.Load, g.Bound, g.SecondFactor))
		}
	}
	// What is confidential is shown once it is on record who looks.
	readable("GET /api/sites/{site_id}/calls")(
		tenancy.Route(g.Access, trail.Read(srv.trail, "calls.read", admin.List)))
	readable("GET /api/sites/{site_id}/events")(
		tenancy.Route(g.Access, trail.Read(srv.trail, "events.read", admin.Events)))
	readable("GET /api/sites/{site_id}/visits")(
		tenancy.Route(g.Access, trail.Read(srv.trail, "visits.read", admin.Visits)))
	readable("GET /api/sites/{site_id}/visits/{visit_id}")(
		tenancy.Route(g.Access, trail.Read(srv.trail, "visits.read", admin.Visit)))
	keys := &apikeys.Keys{Gate: g.Keys, Store: db.APIKeys(), Who: g.Who, Log: log}
	granted("GET /api/sites/{site_id}/keys")(tenancy.Route(g.Access, keys.List))
	granted("POST /api/sites/{site_id}/keys")(tenancy.Route(g.Access, keys.Create))
	granted("POST /api/sites/{site_id}/keys/{key_id}/rotate")(tenancy.Route(g.Access, keys.Rotate))
	granted("DELETE /api/sites/{site_id}/keys/{key_id}")(tenancy.Route(g.Access, keys.Revoke))
	granted("GET /api/audit")(tenancy.Route(g.Access, srv.trail.Site))
	granted("GET /api/audit/review")(tenancy.Route(g.Access, srv.trail.Review))
	granted("GET /api/audit/checkpoint")(tenancy.Route(g.Access, srv.trail.Checkpoint))
	granted("GET /api/audit/proof/{index}")(tenancy.Route(g.Access, srv.trail.Proof))
	granted("GET /api/audit/log")(tenancy.Route(g.Access, srv.trail.All))
	granted("GET /api/audit/tile/{path...}")(tenancy.Route(g.Access, srv.trail.Tiles))
	granted("GET /api/gdpr/records")(tenancy.Route(g.Access, fields.Records))
	granted("POST /api/audit/verify")(tenancy.Route(g.Access, admin.Verify))
	granted("POST /api/calls/{id}/seal")(tenancy.Route(g.Access, admin.Seal))
	granted("POST /api/calls/{id}/junk")(tenancy.Route(g.Access, admin.Junk))
	granted("POST /api/calls/{id}/undo")(tenancy.Route(g.Access, admin.Undo))
	if queue := srv.cfg.Queue; queue != nil {
		dead := &delivery.DeadLetters{Letters: queue, Wake: srv.dispatcher.Wake, Log: log}
		readable("GET /api/queue/dead")(tenancy.Route(g.Access, dead.List))
		granted("POST /api/queue/dead/replay")(tenancy.Route(g.Access, dead.Replay))
	}

	tower := &watchtower.API{Tower: srv.tower, Alone: len(srv.settings.Sites) == 1, Log: log}
	granted("GET /watchtower/alerts")(tenancy.Route(g.Access, tower.List))
	granted("POST /watchtower/alerts")(tenancy.Route(g.Access, tower.Decide))

	// No browser has business here. The queue's deliveries come in bursts from one
	// address, and are refused by their signature before a byte of the body is read.
	machines := newTable(g.Own.Wrap)
	machines.handle("POST /api/sync/worker", &delivery.Worker{Events: db, Log: log}, g.Deliveries.Wrap)
	if s := srv.settings; s.MetricsAddr == "" && len(s.TrustedProxies) == 0 {
		machines.handle("GET /metrics", srv.metrics.Local(notFound))
	}
	machines.handle("GET /healthz", http.HandlerFunc(healthz))
	machines.handle("GET /readyz", &readiness{
		store: db, queue: srv.cfg.Queue, intake: srv.cfg.Intake, dispatcher: srv.dispatcher,
		log: log, draining: &srv.draining,
	})

	mux := http.NewServeMux()
	web, err := srv.pages(mux)
	if err != nil {
		return nil, err
	}
	for _, t := range []*table{events, people, machines, web} {
		t.mount(mux)
		srv.served = slices.AppendSeq(srv.served, maps.Keys(t.handlers))
	}
	mux.Handle("/", g.Own.Wrap(http.HandlerFunc(notFound)))
	return gates.Harden(srv.settings, log, g.Peers(mux)), errors.Join(broken...)
}

func (srv *generation) newIntake() (*intake.Intake, error) {
	mask, err := intake.CardMask()
	if err != nil {
		return nil, err
	}
	sites := make(map[string]intake.Site, len(srv.settings.Sites))
	for _, site := range srv.settings.Sites {
		sites[site.ID] = intake.Site{
			ID: site.ID, ProxyHosts: proxyHosts(site.Origins), RatePerMinute: site.RatePerMinute,
		}
	}
	return &intake.Intake{
		Site:          func(id string) (intake.Site, bool) { site, ok := sites[id]; return site, ok },
		OriginAllowed: srv.gates.SiteOrigin,
		SyncLimit:     srv.gates.Limits.Sync,
		CallLimit:     srv.gates.Limits.Call,
		Visit:         srv.visit,
		Scrub:         mask,
		Keep:          srv.keep,
		Log:           srv.log,
	}, nil
}

// keep makes events durable: in the queue, or at once in the store where there is
// none.
func (srv *Server) keep(ctx context.Context, received []event.Received) error {
	if srv.cfg.Intake != nil {
		return srv.cfg.Intake.Enqueue(ctx, received)
	}
	if srv.cfg.Queue == nil {
		stored, err := srv.cfg.Store.Store(ctx, received)
		if err == nil && stored.Conflicts > 0 {
			err = store.ErrEventID
		}
		return err
	}
	if err := srv.dispatcher.Admit(ctx); err != nil {
		return err
	}
	if err := srv.cfg.Queue.Enqueue(ctx, received); err != nil {
		return err
	}
	srv.dispatcher.Wake()
	return nil
}

// visitLimit is how long an event waits to learn its visit. It is stored without one
// rather than late.
const visitLimit = 250 * time.Millisecond

// visit finds the visit that an event belongs to, or none: what cannot be told, or is
// full, is no reason to lose the event.
func (srv *generation) visit(ctx context.Context, site, session string) string {
	ctx, cancel := context.WithTimeout(ctx, visitLimit)
	defer cancel()
	visit, err := srv.gates.Visits.Touch(ctx, site, session)
	if err != nil {
		srv.log.WarnContext(ctx, "an event without its visit", "site", site, "error", err)
		return ""
	}
	return visit.ID
}

// proxyHosts are the hosts that a site's own proxy may name.
func proxyHosts(origins []string) map[string]bool {
	hosts := make(map[string]bool, len(origins))
	for _, origin := range origins {
		if u, err := url.Parse(origin); err == nil {
			hosts[u.Host] = true
		}
	}
	return hosts
}

func (srv *generation) newAccounts() (*account.Accounts, error) {
	users, err := srv.accountsByEmail()
	if err != nil {
		return nil, err
	}
	return account.New(account.Config{
		Users: users, Sessions: srv.gates.Sessions, Device: srv.gates.Device, Guard: srv.gates.Logins,
		Factors: srv.cfg.Store, Keys: srv.cfg.Store, Origins: srv.settings.PublicOrigins,
		Record: srv.cfg.Store.Record, OnEvent: srv.journal.OnEvent, Log: srv.log,
	})
}

func (srv *generation) accountsByEmail() (map[string]account.User, error) {
	byEmail := make(map[string]account.User, len(srv.settings.Users))
	for _, user := range srv.settings.Users {
		hash, err := password.Parse(user.PasswordHash)
		if err != nil {
			return nil, err
		}
		email := strings.ToLower(user.Email)
		byEmail[email] = account.User{
			ID: user.ID, Email: email, Hash: hash, TOTPSecret: user.TOTPSecret,
			Role: user.Role, Needs: srv.gates.Needed(user.Role), Sites: srv.sitesOf(user),
			KeysAfter: user.SecurityKeysAfter,
		}
	}
	return byEmail, nil
}

// sitesOf are the sites of a user, in the order of SITES_FILE.
func (srv *generation) sitesOf(user settings.User) []account.Site {
	list := []account.Site{}
	for _, site := range srv.settings.Sites {
		if site.Owner == user.ID || slices.Contains(user.Sites, site.ID) {
			list = append(list, account.Site{ID: site.ID, Name: site.Name})
		}
	}
	return list
}

// pages are the server in a browser. They ask api what a browser could.
func (srv *generation) pages(api http.Handler) (*table, error) {
	cfg := pages.Config{API: api}
	if d := srv.settings.Demo; d != nil {
		cfg.Demo = &pages.Demo{
			Email: d.User.Email, Password: d.Password, Secret: d.User.TOTPSecret,
			Origins: srv.settings.PublicOrigins,
		}
	}
	all, err := pages.New(cfg)
	if err != nil {
		return nil, err
	}
	web := newTable(srv.gates.Pages)
	for pattern, h := range all.Routes() {
		web.handle(pattern, h)
	}
	return web, nil
}

// options answers an OPTIONS request that is no preflight; those end at the
// origin gate.
func options(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Allow", "OPTIONS, POST")
	w.WriteHeader(http.StatusNoContent)
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	reply.Problem(w, http.StatusNotFound, tenancy.CodeNotFound, "There is nothing here")
}
