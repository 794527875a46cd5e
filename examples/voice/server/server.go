package server

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/voice/media"
	"github.com/opsmantik/sallyport/examples/voice/recording"
	"github.com/opsmantik/sallyport/examples/voice/relay"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/ephemeral"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/envelope"
)

// Config configures a Server. New copies it.
type Config struct {
	_ [0]func()

	// Conn is the UDP socket of all media, and Address what peers are told, as in
	// media.Config. Conn is required.
	Conn    net.PacketConn
	Address netip.Addr
	// TURN is the UDP socket of a TURN server for those whom UDP does not reach otherwise,
	// and TURNAddress what they are told: an address of this machine. Default: none.
	TURN        net.PacketConn
	TURNAddress netip.Addr
	// Members says which role a user has on a site: Members["ada"]["shop"]. Required.
	Members map[string]map[string]tenancy.Role
	// Audit records every admission and refusal. Required.
	Audit interface {
		Append(ctx context.Context, r audit.Record) (audit.Receipt, error)
	}
	// Vault seals what is said, and Store keeps it, as in recording.Config. Required.
	Vault *envelope.Vault
	Store recording.Store
	// LinkLifetime is how long the URL of a recording plays it. Default 5 minutes, and no
	// more.
	LinkLifetime time.Duration
	// PerMinute is how many requests an address may send a minute. Default 600.
	PerMinute int
	// OnEvent, if set, is called for every decision of every gate.
	OnEvent func(context.Context, sallyport.Event)
}

// tokenLifetime is short, because the page uses a token at once.
const tokenLifetime = time.Minute

// linkLifetime is what the policy allows: data in encrypted buckets behind URLs of 5
// minutes.
const linkLifetime = 5 * time.Minute

// Server serves the page and what it calls. It is safe for concurrent use.
type Server struct {
	cfg     Config
	rooms   *media.Server
	archive *recording.Archive
	turn    *relay.Server // or nil
	// turnAddress is what peers are told of it.
	turnAddress string
	sessions    *sessions.Manager[struct{}]
	access      *tenancy.Gate
	address     *clientaddr.Gate
	limits      *ratelimit.Limiter
	issuer      *ephemeral.SessionIssuer
	keys        hmacsig.Keyring
	tokens      *hmacsig.Verifier
	signer      *ephemeral.URLSigner
	links       *hmacsig.Verifier

	handler http.Handler
	served  []string // patterns, for the tests
}

// Roles of the demo: an agent joins calls and listens to them, a manager erases them.
const (
	RoleAgent   tenancy.Role = "agent"
	RoleManager tenancy.Role = "manager"
)

// HearCall is the permission to listen to calls, and to read their transcripts.
type HearCall struct{}

// Permission names it.
func (HearCall) Permission() string { return "calls:hear" }

// EraseCall is the permission to erase them.
type EraseCall struct{}

// Permission names it.
func (EraseCall) Permission() string { return "calls:erase" }

// JoinCall is the permission to join the calls of a site.
type JoinCall struct{}

// Permission names it.
func (JoinCall) Permission() string { return "calls:join" }

var roles = map[tenancy.Role]tenancy.Rights{
	RoleAgent: {Permissions: []string{"calls:join", "calls:hear"}, Level: sallyport.AAL1},
	RoleManager: {
		Permissions: []string{"calls:join", "calls:hear", "calls:erase"}, Level: sallyport.AAL1,
	},
}

// New returns a Server, which owns Conn and TURN. It closes them if it fails.
func New(cfg Config) (*Server, error) {
	if cfg.Audit == nil || cfg.Members == nil || cfg.Conn == nil {
		return nil, errors.New("server: Conn, Members and Audit are required")
	}
	cfg.LinkLifetime = cmp.Or(cfg.LinkLifetime, linkLifetime)
	if cfg.LinkLifetime > linkLifetime {
		return nil, errors.New("server: the URL of a recording lives for 5 minutes at most")
	}
	cfg.PerMinute = cmp.Or(cfg.PerMinute, 600)
	s := &Server{cfg: cfg}
	var errs [10]error
	s.rooms, errs[0] = media.New(media.Config{
		Conn: cfg.Conn, Address: cfg.Address, TokenLifetime: tokenLifetime,
		Audio: s.tape, Record: s.record, OnEvent: s.follow,
	})
	s.archive, errs[8] = recording.New(recording.Config{
		Vault: cfg.Vault, Store: cfg.Store, OnEvent: s.ended,
	})
	if cfg.TURN != nil {
		errs[9] = s.newTURN()
	}
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
	if errs[6] = s.newTokens(); errs[6] == nil {
		errs[7] = s.newLinks()
	}
	if err = errors.Join(errs[:]...); err == nil {
		s.handler, err = s.routes()
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
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

// newTURN makes a TURN server that leads to the media server alone.
func (s *Server) newTURN() error {
	media, ok := s.cfg.Conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return errors.New("server: Conn is no UDP socket")
	}
	peer := media.AddrPort()
	if s.cfg.Address.IsValid() {
		peer = netip.AddrPortFrom(s.cfg.Address, peer.Port())
	}
	turn, ok := s.cfg.TURN.LocalAddr().(*net.UDPAddr)
	if !ok {
		return errors.New("server: TURN is no UDP socket")
	}
	s.turnAddress = netip.AddrPortFrom(s.cfg.TURNAddress, turn.AddrPort().Port()).String()
	var err error
	s.turn, err = relay.New(relay.Config{
		Conn: s.cfg.TURN, Address: s.cfg.TURNAddress, OnEvent: s.observeRelay,
		Allow: []netip.AddrPort{netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port())},
	})
	return err
}

// follow passes the events of sessions on. A relay lives as long as its session.
func (s *Server) follow(ctx context.Context, e sallyport.Event) {
	if d, ok := e.Detail.(*media.Decision); ok && s.turn != nil {
		switch {
		case e.Code == media.CodeConnected:
			s.turn.Open(d.Session)
		case d.Ended:
			s.turn.End(d.Session)
		}
	}
	s.passOn(ctx, e)
}

// tape records what a peer says, under the id of its token: names of objects say nothing
// about people.
func (s *Server) tape(
	ctx context.Context, call string, session ephemeral.Session,
) (media.Sink, error) {
	return s.archive.Start(ctx, recording.Track{Site: session.Site, Call: call, ID: session.ID})
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

// Archive has the recordings.
func (s *Server) Archive() *recording.Archive { return s.archive }

// Close ends all calls, and closes the sockets.
func (s *Server) Close() error {
	open := []io.Closer{s.cfg.Conn}
	if s.rooms != nil {
		open[0] = s.rooms // which closes Conn
	}
	switch {
	case s.turn != nil:
		open = append(open, s.turn)
	case s.cfg.TURN != nil:
		open = append(open, s.cfg.TURN)
	}
	var errs []error
	for _, c := range open {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
