package gatetest_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/cors"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/stretchr/testify/require"
)

const (
	listed  = "https://shop.example.com"
	own     = "https://api.example.org"
	limit   = 20
	maxBody = 4096
)

// secretText is the key of the webhook's sender.
const secretText = "4f1c8a0e5b7d2936c1e04a7f9d3b6852"

func siteSecret(t testing.TB) hmacsig.Secret {
	t.Helper()
	secret, err := hmacsig.NewSecret(hmacsig.SecretConfig{Value: secretText})
	require.NoError(t, err)
	return secret
}

type middleware = func(http.Handler) http.Handler

// parts are the gates of the server. A broken server has another one in place of
// one of them.
type parts struct {
	pages, people middleware // origins: listed pages, the server's own
	signature     middleware
	address, rate middleware
	session       middleware
	login, logout http.HandlerFunc
	access        func(*sessions.Manager[struct{}], http.Handler) http.Handler
	bounded       middleware // bodies
	log           func(io.Writer) middleware
	handler       http.Handler // of every route
	rateFirst     bool         // outside the origin gate
}

// sound is the server as it should be.
func sound(t testing.TB) (*parts, *sessions.Manager[struct{}]) {
	t.Helper()
	pages, err := cors.New(cors.Config{
		Origins: []string{listed}, OwnOrigins: []string{own}, RequestHeaders: []string{"Content-Type"},
	})
	require.NoError(t, err)
	people, err := cors.New(cors.Config{OwnOrigins: []string{own}})
	require.NoError(t, err)
	keys, err := hmacsig.NewRotation(siteSecret(t), hmacsig.Secret{})
	require.NoError(t, err)
	verifier, err := hmacsig.New(hmacsig.Config{
		Scheme: hmacsig.OpsMantik(), Keys: hmacsig.StaticKeys{"shop": keys}, MaxBodyBytes: maxBody,
	})
	require.NoError(t, err)
	address, err := clientaddr.New(clientaddr.Config{})
	require.NoError(t, err)
	limiter, err := ratelimit.New(ratelimit.Config{Policies: []func(*http.Request) ratelimit.Policy{
		ratelimit.PerAddress("address", ratelimit.PerMinute(limit)),
	}})
	require.NoError(t, err)
	store, err := sessions.NewMemory(sessions.MemoryConfig{MaxSessions: 100})
	require.NoError(t, err)
	manager, err := sessions.New[struct{}](sessions.Config{Store: store})
	require.NoError(t, err)
	login := func(_ http.ResponseWriter, r *http.Request) {
		login := sessions.Login{User: r.URL.Query().Get("user"), Level: sallyport.AAL1}
		if err := manager.Start(r.Context(), login, struct{}{}); err != nil {
			panic(err)
		}
	}
	logout := func(_ http.ResponseWriter, r *http.Request) {
		if err := manager.Logout(r.Context()); err != nil {
			panic(err)
		}
	}
	return &parts{
		login: login, logout: logout,
		pages: pages.Wrap, people: people.Wrap, signature: verifier.Wrap,
		address: address.Wrap, rate: limiter.Wrap, session: manager.Wrap, access: granted(t),
		bounded: bound, log: accessLog, handler: http.HandlerFunc(ok),
	}, manager
}

func ok(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "body_too_large")
		return
	}
	fmt.Fprintln(w, "done")
}

func refuse(w http.ResponseWriter, status int, code string) {
	(&sallyport.Refusal{Gate: "test", Code: code, Status: status, Title: "No"}).Write(w)
}

func bound(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

func accessLog(log io.Writer) middleware {
	logger := slog.New(slog.NewTextHandler(log, nil))
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			logger.Info("request", "method", r.Method, "path", r.URL.Path, "peer", r.RemoteAddr)
			next.ServeHTTP(w, r)
		})
	}
}

// ReadOrders is the permission of the route with objects of users.
type ReadOrders struct{}

func (ReadOrders) Permission() string { return "orders:read" }

var owners = map[[2]string]bool{{"alice", "shop-a"}: true, {"bob", "shop-b"}: true}

// granted lets whoever owns a site read it.
func granted(t testing.TB) func(*sessions.Manager[struct{}], http.Handler) http.Handler {
	t.Helper()
	return func(manager *sessions.Manager[struct{}], next http.Handler) http.Handler {
		gate, err := tenancy.New(tenancy.Config{
			Identify: func(r *http.Request) (sallyport.Principal, error) {
				s, ok := manager.FromContext(r.Context())
				if !ok {
					return sallyport.Principal{}, tenancy.ErrUnauthenticated
				}
				return s.Principal(), nil
			},
			Sources: []tenancy.Source{tenancy.FromPath("site_id")},
			Member: func(_ context.Context, user, site string) (tenancy.Role, error) {
				if !owners[[2]string{user, site}] {
					return "", tenancy.ErrNotMember
				}
				return "owner", nil
			},
			Roles: map[tenancy.Role]tenancy.Rights{
				"owner": {Permissions: []string{"orders:read"}, Level: sallyport.AAL1},
			},
		})
		require.NoError(t, err)
		route, err := tenancy.Route(gate,
			func(w http.ResponseWriter, r *http.Request, _ tenancy.Grant[ReadOrders]) {
				next.ServeHTTP(w, r)
			})
		require.NoError(t, err)
		return route
	}
}

// served are the patterns of newServer's router.
var served = []string{
	"GET /healthz", "GET /events", "POST /events", "POST /webhooks/paid",
	"GET /sites/{site_id}/orders", "POST /sites/{site_id}/orders",
}

func newServer(p *parts, manager *sessions.Manager[struct{}], log io.Writer) http.Handler {
	events := []middleware{p.pages, p.address, p.rate, p.bounded}
	if p.rateFirst {
		events = []middleware{p.address, p.rate, p.pages, p.bounded}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", p.handler)
	mux.Handle("/events", behind(p.handler, events...))
	mux.Handle("POST /webhooks/paid", behind(p.handler, p.address, p.rate, p.signature))
	mux.Handle("/sites/{site_id}/orders",
		behind(p.access(manager, p.handler), p.people, p.bounded, p.session))
	mux.HandleFunc("POST /login", p.login)
	mux.HandleFunc("POST /logout", p.logout)
	return behind(mux, p.log(log), manager.Load)
}

func behind(h http.Handler, gates ...middleware) http.Handler {
	for i := len(gates) - 1; i >= 0; i-- {
		h = gates[i](h)
	}
	return h
}
