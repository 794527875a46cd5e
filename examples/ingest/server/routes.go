package server

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/opsmantik/sallyport/cors"
	"github.com/opsmantik/sallyport/examples/ingest/account"
	"github.com/opsmantik/sallyport/examples/ingest/calls"
	"github.com/opsmantik/sallyport/examples/ingest/delivery"
	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/intake"
	"github.com/opsmantik/sallyport/examples/ingest/password"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/tenancy"
)

// gate wraps a handler with one check.
type gate func(http.Handler) http.Handler

// behind puts h behind the gates, the first one outermost.
func behind(h http.Handler, gates ...gate) http.Handler {
	for i := len(gates) - 1; i >= 0; i-- {
		h = gates[i](h)
	}
	return h
}

// gates is every gate of the server.
type gates struct {
	origin     *cors.Gate
	address    *ratelimit.ClientAddr
	limits     *limits
	calls      *hmacsig.Verifier
	deliveries *hmacsig.Verifier
	session    *account.Sessions
	accounts   *account.Accounts
	access     *tenancy.Gate
}

func (srv *Server) newGates(own []string, workerURL string, count counter) (g gates, err error) {
	s := srv.settings
	if g.origin, err = newCORS(s, own, count); err != nil {
		return g, err
	}
	if g.address, err = newClientAddr(s); err != nil {
		return g, err
	}
	stores, err := srv.openStores()
	if err != nil {
		return g, err
	}
	if g.limits, err = newLimits(s, stores.limits, count); err != nil {
		return g, err
	}
	if g.calls, err = newCallVerifier(s, stores.calls, count); err != nil {
		return g, err
	}
	if g.deliveries, err = newWorkerVerifier(s, workerURL, stores.deliveries, count); err != nil {
		return g, err
	}
	if g.session, err = newSessions(count); err != nil {
		return g, err
	}
	if g.accounts, err = srv.newAccounts(g.session, g.limits.Limiter); err != nil {
		return g, err
	}
	g.access, err = newAccess(s, g.accounts, srv.db, count)
	return g, err
}

// routes says which handler stands behind which gates. The order is that of
// docs/ordering.md.
func (srv *Server) routes(own []string, workerURL string) (http.Handler, error) {
	registry := prometheus.NewRegistry()
	watchQueue(registry, srv.db)
	count := newCounter(registry)
	g, err := srv.newGates(own, workerURL, count)
	if err != nil {
		return nil, err
	}
	srv.intake, err = srv.newIntake(siteOrigin(srv.settings, g.origin, count), g.limits)
	if err != nil {
		return nil, err
	}
	in, admin := srv.intake, &calls.Calls{DB: srv.db, Log: srv.log}

	mux := http.NewServeMux()
	handle := func(pattern string, h http.Handler, more ...gate) {
		mux.Handle(pattern, behind(h, append([]gate{g.address.Wrap, g.limits.Wrap}, more...)...))
	}
	public := func(pattern string, h http.HandlerFunc, more ...gate) { handle(pattern, h, more...) }
	public("POST /api/sync", in.Sync)
	public("POST /api/call-event/v2", in.Call, g.calls.Wrap)
	public("OPTIONS /api/sync", options)
	public("OPTIONS /api/call-event/v2", options)
	public("POST /auth/login", g.accounts.Login, g.session.Wrap)
	public("POST /auth/totp", g.accounts.TOTP, g.session.Require)
	public("POST /auth/logout", g.accounts.Logout, g.session.Wrap)
	public("GET /auth/sessions", g.accounts.List, g.session.Require)
	public("DELETE /auth/sessions/{id}", g.accounts.End, g.session.Require)

	handle("GET /api/sites/{site_id}/calls", tenancy.Route(g.access, admin.List), g.session.Wrap)
	handle("GET /api/sites/{site_id}/events", tenancy.Route(g.access, admin.Events), g.session.Wrap)
	handle("GET /api/audit", tenancy.Route(g.access, admin.Audit), g.session.Wrap)
	handle("POST /api/calls/{id}/seal", tenancy.Route(g.access, admin.Seal), g.session.Wrap)
	handle("POST /api/calls/{id}/junk", tenancy.Route(g.access, admin.Junk), g.session.Wrap)
	handle("POST /api/calls/{id}/undo", tenancy.Route(g.access, admin.Undo), g.session.Wrap)

	// The queue's deliveries come in bursts from one address, and are refused
	// by their signature before a byte of the body is read.
	worker := &delivery.Worker{DB: srv.db, Log: srv.log}
	mux.Handle("POST /api/sync/worker", behind(worker, g.deliveries.Wrap))
	mux.Handle("GET /metrics", metricsHandler(registry))
	mux.HandleFunc("GET /healthz", srv.healthz)
	mux.HandleFunc("GET /readyz", srv.readyz)
	mux.HandleFunc("/", notFound)
	return behind(mux, srv.harden, g.origin.Wrap), nil
}

// siteOrigin is the second question about an origin, once the site is known: is
// it one of this site's? It is reported, and enforced, as the first one is.
func siteOrigin(
	s *settings.Settings, gate *cors.Gate, count counter,
) func(site, origin string) bool {
	return func(site, origin string) bool {
		allowed := gate.TenantAllows(site, origin)
		if !allowed {
			count("site_origin", string(cors.ReasonOriginNotListed), false)
		}
		return allowed || s.CORSReportOnly
	}
}

func (srv *Server) newIntake(
	originAllowed func(site, origin string) bool, limits *limits,
) (*intake.Intake, error) {
	mask, err := cardMask()
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
		OriginAllowed: originAllowed,
		SyncLimit:     limits.sync,
		CallLimit:     limits.call,
		Scrub:         mask,
		Enqueue: func(ctx context.Context, received []event.Received) error {
			if err := srv.db.Enqueue(ctx, received); err != nil {
				return err
			}
			srv.dispatcher.Wake()
			return nil
		},
		Log: srv.log,
	}, nil
}

// newSessions keeps sessions in this process: a restart signs everybody out.
func newSessions(count counter) (*account.Sessions, error) {
	store, err := sessions.NewMemory(sessions.MemoryConfig{MaxSessions: 100_000, MaxPerUser: 64})
	if err != nil {
		return nil, err
	}
	return sessions.New[account.Data](sessions.Config{
		Store: store,
		OnDecision: func(_ *http.Request, d sessions.Decision) {
			count("sessions", string(d.Reason), d.Reason == "")
		},
	})
}

func (srv *Server) newAccounts(
	session *account.Sessions, limiter *ratelimit.Limiter,
) (*account.Accounts, error) {
	config := ratelimit.LoginConfig{}
	if srv.settings.FailMode != settings.FailClosed {
		// FAIL_MODE=open is for events: passwords are never guessed uncounted.
		config.OnOutage = ratelimit.Local
	}
	guard, err := ratelimit.NewLoginGuard(limiter, config)
	if err != nil {
		return nil, err
	}
	users, err := accountsByEmail(srv.settings.Users)
	if err != nil {
		return nil, err
	}
	return account.New(account.Config{
		Users: users, Sessions: session, Guard: guard, SpendTOTP: srv.db.SpendTOTP, Log: srv.log,
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

func (srv *Server) harden(next http.Handler) http.Handler {
	return harden(srv.log, srv.settings.TLSCertFile != "", next)
}

// healthz says that the process answers.
func (srv *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	reply.JSON(w, http.StatusOK, map[string]any{"ok": true})
}

// readyz says that it can also store.
func (srv *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if err := srv.db.Ping(r.Context()); err != nil {
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

func originOf(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
