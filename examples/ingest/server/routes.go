package server

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/opsmantik/sallyport/examples/ingest/account"
	"github.com/opsmantik/sallyport/examples/ingest/calls"
	"github.com/opsmantik/sallyport/examples/ingest/delivery"
	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/gates"
	"github.com/opsmantik/sallyport/examples/ingest/intake"
	"github.com/opsmantik/sallyport/examples/ingest/password"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/tenancy"
)

// routes says which handler stands behind which gates. The order is that of
// docs/ordering.md.
func (srv *Server) routes() (http.Handler, error) {
	g, log, db := srv.gates, srv.cfg.Log, srv.cfg.Store
	var err error
	if srv.intake, err = srv.newIntake(); err != nil {
		return nil, err
	}
	people, err := srv.newAccounts()
	if err != nil {
		return nil, err
	}
	in, admin := srv.intake, &calls.Calls{Store: db, Log: log}

	mux := http.NewServeMux()
	handle := func(pattern string, h http.Handler, more ...gates.Gate) {
		front := []gates.Gate{g.Address.Wrap, g.Limits.Wrap}
		mux.Handle(pattern, gates.Behind(h, append(front, more...)...))
	}
	public := func(pattern string, h http.HandlerFunc, more ...gates.Gate) { handle(pattern, h, more...) }
	public("POST /api/sync", in.Sync)
	public("POST /api/call-event/v2", in.Call, g.Calls.Wrap)
	public("OPTIONS /api/sync", options)
	public("OPTIONS /api/call-event/v2", options)
	public("POST /auth/login", people.Login, g.Sessions.Load)
	public("POST /auth/totp", people.TOTP, g.Sessions.Wrap)
	public("POST /auth/logout", people.Logout, g.Sessions.Load)
	public("GET /auth/sessions", people.List, g.Sessions.Wrap)
	public("DELETE /auth/sessions/{id}", people.End, g.Sessions.Wrap)

	var problems []error
	session := gates.Gate(g.Sessions.Load)
	handle("GET /api/sites/{site_id}/calls", onSite(&problems, g.Access, admin.List), session)
	handle("GET /api/sites/{site_id}/events", onSite(&problems, g.Access, admin.Events), session)
	handle("GET /api/audit", onSite(&problems, g.Access, admin.Audit), session)
	handle("POST /api/calls/{id}/seal", onSite(&problems, g.Access, admin.Seal), session)
	handle("POST /api/calls/{id}/junk", onSite(&problems, g.Access, admin.Junk), session)
	handle("POST /api/calls/{id}/undo", onSite(&problems, g.Access, admin.Undo), session)

	// The queue's deliveries come in bursts from one address, and are refused
	// by their signature before a byte of the body is read.
	mux.Handle("POST /api/sync/worker",
		gates.Behind(&delivery.Worker{Events: db, Log: log}, g.Deliveries.Wrap))
	srv.metrics.WatchQueue(db)
	mux.Handle("GET /metrics", srv.metrics.Handler(notFound))
	mux.HandleFunc("GET /healthz", healthz)
	mux.HandleFunc("GET /readyz", srv.readyz)
	mux.HandleFunc("/", notFound)
	handler := gates.Harden(log, srv.cfg.Settings.TLSCertFile != "", g.Origin.Wrap(mux))
	return handler, errors.Join(problems...)
}

// onSite guards a handler of one site's data. A permission that no role has is a
// problem, not a route that refuses everybody.
func onSite[P tenancy.Permission](
	problems *[]error, g *tenancy.Gate,
	h func(http.ResponseWriter, *http.Request, tenancy.Grant[P]),
) http.Handler {
	guarded, err := tenancy.Route(g, h)
	*problems = append(*problems, err)
	return guarded
}

func (srv *Server) newIntake() (*intake.Intake, error) {
	mask, err := intake.CardMask()
	if err != nil {
		return nil, err
	}
	sites := make(map[string]intake.Site, len(srv.cfg.Settings.Sites))
	for _, site := range srv.cfg.Settings.Sites {
		sites[site.ID] = intake.Site{
			ID: site.ID, ProxyHosts: proxyHosts(site.Origins), RatePerMinute: site.RatePerMinute,
		}
	}
	return &intake.Intake{
		Site:          func(id string) (intake.Site, bool) { site, ok := sites[id]; return site, ok },
		OriginAllowed: srv.gates.SiteOrigin,
		SyncLimit:     srv.gates.Limits.Sync,
		CallLimit:     srv.gates.Limits.Call,
		Scrub:         mask,
		Enqueue: func(ctx context.Context, received []event.Received) error {
			if err := srv.cfg.Store.Enqueue(ctx, received); err != nil {
				return err
			}
			srv.dispatcher.Wake()
			return nil
		},
		Log: srv.cfg.Log,
	}, nil
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

func (srv *Server) newAccounts() (*account.Accounts, error) {
	users, err := accountsByEmail(srv.cfg.Settings.Users)
	if err != nil {
		return nil, err
	}
	return account.New(account.Config{
		Users: users, Sessions: srv.gates.Sessions, Guard: srv.gates.Logins,
		Factors: srv.cfg.Store, Log: srv.cfg.Log,
	}), nil
}

func accountsByEmail(users []settings.User) (map[string]account.User, error) {
	byEmail := make(map[string]account.User, len(users))
	for _, user := range users {
		hash, err := password.Parse(user.PasswordHash)
		if err != nil {
			return nil, err
		}
		byEmail[strings.ToLower(user.Email)] = account.User{
			ID: user.ID, Hash: hash, TOTPSecret: user.TOTPSecret,
		}
	}
	return byEmail, nil
}

// healthz says that the process answers.
func healthz(w http.ResponseWriter, _ *http.Request) {
	reply.JSON(w, http.StatusOK, map[string]any{"ok": true})
}

// readyz says that it can also store.
func (srv *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if err := srv.cfg.Store.Ping(r.Context()); err != nil {
		reply.Unavailable(w, "store_unavailable", "The store does not answer")
		return
	}
	reply.JSON(w, http.StatusOK, map[string]any{"ok": true})
}

// options answers an OPTIONS request that is no preflight; those end at the
// origin gate.
func options(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Allow", "OPTIONS, POST")
	w.WriteHeader(http.StatusNoContent)
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	reply.Problem(w, http.StatusNotFound, "not_found", "There is nothing here")
}
