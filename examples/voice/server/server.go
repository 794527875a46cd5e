package server

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/voice/media"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/ephemeral"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/tenancy"
)

// Config configures a Server. New copies it.
type Config struct {
	_ [0]func()

	// Conn is the UDP socket of all media, and Address what peers are told, as in
	// media.Config. Conn is required.
	Conn    net.PacketConn
	Address netip.Addr
	// Members says which role a user has on a site: Members["ada"]["shop"]. Required.
	Members map[string]map[string]tenancy.Role
	// Audit records every admission and refusal. Required.
	Audit interface {
		Append(ctx context.Context, r audit.Record) (audit.Receipt, error)
	}
	// PerMinute is how many requests an address may send a minute. Default 600.
	PerMinute int
	// OnEvent, if set, is called for every decision of every gate.
	OnEvent func(context.Context, sallyport.Event)
}

// tokenLifetime is short, because the page uses a token at once.
const tokenLifetime = time.Minute

// Server serves the page and what it calls. It is safe for concurrent use.
type Server struct {
	cfg      Config
	rooms    *media.Server
	sessions *sessions.Manager[struct{}]
	access   *tenancy.Gate
	address  *clientaddr.Gate
	limits   *ratelimit.Limiter
	issuer   *ephemeral.SessionIssuer
	keys     hmacsig.Keyring
	tokens   *hmacsig.Verifier

	handler http.Handler
	served  []string // patterns, for the tests
}

// Roles of the demo: who may join calls.
const (
	RoleAgent tenancy.Role = "agent"
)

// JoinCall is the permission to join the calls of a site.
type JoinCall struct{}

// Permission names it.
func (JoinCall) Permission() string { return "calls:join" }

var roles = map[tenancy.Role]tenancy.Rights{
	RoleAgent: {Permissions: []string{"calls:join"}, Level: sallyport.AAL1},
}

// New returns a Server. It owns Conn from then on.
func New(cfg Config) (*Server, error) {
	if cfg.Audit == nil || cfg.Members == nil || cfg.Conn == nil {
		return nil, errors.New("server: Conn, Members and Audit are required")
	}
	cfg.PerMinute = cmp.Or(cfg.PerMinute, 600)
	s := &Server{cfg: cfg}
	var errs [7]error
	s.rooms, errs[0] = media.New(media.Config{
		Conn: cfg.Conn, Address: cfg.Address, TokenLifetime: tokenLifetime,
		Record: s.record, OnEvent: s.passOn,
	})
	store, err := sessions.NewMemory(sessions.MemoryConfig{MaxSessions: 10_000})
	errs[1] = err
	s.sessions, errs[2] = sessions.New[struct{}](sessions.Config{Store: store, OnEvent: s.observe})
	s.access, errs[3] = tenancy.New(tenancy.Config{
		Identify: s.identify, Sources: []tenancy.Source{tenancy.FromPath("site_id")},
		Member: s.member, Roles: roles, OnEvent: s.observe,
	})
	s.address, errs[4] = clientaddr.New(clientaddr.Config{OnEvent: s.observe})
	s.limits, errs[5] = ratelimit.New(ratelimit.Config{
		Policies: []func(*http.Request) ratelimit.Policy{
			ratelimit.PerAddress(perAddress, ratelimit.PerMinute(cfg.PerMinute)),
		},
		OnEvent: s.observe,
	})
	errs[6] = s.newTokens()
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	s.handler, err = s.routes()
	return s, err
}

// newTokens makes both sides of session tokens, under a key that this process alone
// knows: its sessions end with it, so its tokens may.
func (s *Server) newTokens() error {
	keys, err := hmacsig.NewKeyring(hmacsig.Key{Name: "voice", Secret: hmacsig.Generate()})
	if err != nil {
		return err
	}
	s.keys = keys
	cfg := ephemeral.SessionConfig{
		Issuer: "voice", Audience: "voice-media", Keys: keys, Lifetime: tokenLifetime,
		Place: func(r *http.Request) (site, room string) {
			return r.PathValue("site_id"), r.PathValue("room")
		},
		OnEvent: s.observe,
	}
	s.issuer, err = ephemeral.NewSessionIssuer(cfg)
	if err != nil {
		return err
	}
	s.tokens, err = ephemeral.NewSessionVerifier(cfg)
	return err
}

func (s *Server) identify(r *http.Request) (sallyport.Principal, error) {
	session, err := s.sessions.Check(r)
	switch {
	case errors.Is(err, sessions.ErrNoSession):
		return sallyport.Principal{}, tenancy.ErrUnauthenticated
	case err != nil:
		return sallyport.Principal{}, err
	}
	return session.Principal(), nil
}

func (s *Server) member(_ context.Context, user, site string) (tenancy.Role, error) {
	if role, ok := s.cfg.Members[user][site]; ok {
		return role, nil
	}
	return "", tenancy.ErrNotMember
}

// Handler serves everything.
func (s *Server) Handler() http.Handler { return s.handler }

// Rooms are the calls, to revoke tokens and users.
func (s *Server) Rooms() *media.Server { return s.rooms }

// Close ends all calls.
func (s *Server) Close() error { return s.rooms.Close() }
