package relay

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pion/logging"
	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"
	"golang.org/x/time/rate"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/ephemeral"
)

const realm = "voice"

// Server is a TURN server. It is safe for concurrent use. The zero Server and nil grant
// nothing.
type Server struct {
	cfg         Config
	turn        *turn.Server
	credentials *ephemeral.TURN
	listen      func(network, address string) (net.PacketConn, error)

	mu       sync.Mutex
	sessions map[key]*session
	names    map[string]*session // by the name of their credentials
	ids      map[string]*session // by the id in it
	clients  map[string]*session // by the address of their client
	relays   int
}

// key tells sessions apart. A token that renews one is of the same session.
type key struct {
	site, room, subject string
	certificate         [32]byte
}

func keyOf(s ephemeral.Session) key { return key{s.Site, s.Room, s.Subject, s.Certificate} }

// session is what has credentials.
type session struct {
	of     ephemeral.Session
	given  ephemeral.TURNCredentials
	id     string // in their name
	rate   *rate.Limiter
	open   bool // connected to the media server: credentials live on
	ended  bool
	relays map[*conn]struct{}
	bytes  int64
	timer  *time.Timer
}

// New starts a server, or returns every problem of the configuration at once.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	// The secret is this process's own: nobody else makes credentials for it.
	credentials, err := ephemeral.NewTURN(hmacsig.Generate(), cfg.Lifetime)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, credentials: credentials, listen: net.ListenPacket,
		sessions: map[key]*session{}, names: map[string]*session{}, ids: map[string]*session{},
		clients: map[string]*session{},
	}
	silent := logging.NewDefaultLoggerFactory() // its log has addresses and names
	silent.DefaultLogLevel, silent.ScopeLevels = logging.LogLevelDisabled, nil
	s.turn, err = turn.NewServer(turn.ServerConfig{
		Realm: realm, LoggerFactory: silent, AuthHandler: s.authenticate, QuotaHandler: s.quota,
		AllocationLifetime: cfg.Lifetime,
		EventHandler: turn.EventHandler{
			OnAllocationCreated: s.allocated, OnAllocationDeleted: s.deleted,
		},
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn: cfg.Conn, RelayAddressGenerator: generator{s}, PermissionHandler: s.permits,
		}},
	})
	return s, err
}

// Grant makes credentials for a session. One that has some gets them again.
func (s *Server) Grant(of ephemeral.Session) (ephemeral.TURNCredentials, error) {
	if s == nil || s.turn == nil {
		return ephemeral.TURNCredentials{}, errors.New("relay: not configured")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.sessions[keyOf(of)]; now != nil {
		if !now.open {
			now.timer.Reset(s.cfg.Lifetime)
		}
		return now.given, nil
	}
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails
	id := base64.RawURLEncoding.EncodeToString(random)
	given, err := s.credentials.Credentials(id)
	if err != nil {
		return given, err
	}
	now := &session{
		of: of, given: given, id: id, relays: map[*conn]struct{}{},
		rate: rate.NewLimiter(rate.Limit(s.cfg.BytesPerSecond), s.cfg.BytesPerSecond),
	}
	now.timer = time.AfterFunc(s.cfg.Lifetime, func() { s.expire(now) })
	s.sessions[keyOf(of)], s.names[given.Username], s.ids[id] = now, now, now
	return given, nil
}

// Open says that a session is connected: its relays stay until it ends.
func (s *Server) Open(of ephemeral.Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.sessions[keyOf(of)]; now != nil {
		now.open = true
		now.timer.Stop()
	}
}

// End closes the relays of a session, and voids its credentials.
func (s *Server) End(of ephemeral.Session) {
	s.mu.Lock()
	now := s.sessions[keyOf(of)]
	s.mu.Unlock()
	if now != nil {
		s.end(now)
	}
}

// EndUser ends all sessions of a user.
func (s *Server) EndUser(subject string) {
	s.mu.Lock()
	var found []*session
	for _, now := range s.sessions {
		if now.of.Subject == subject {
			found = append(found, now)
		}
	}
	s.mu.Unlock()
	for _, now := range found {
		s.end(now)
	}
}

func (s *Server) expire(now *session) {
	s.mu.Lock()
	open := now.open
	s.mu.Unlock()
	if !open {
		s.end(now)
	}
}

func (s *Server) end(now *session) {
	s.mu.Lock()
	now.ended = true
	now.timer.Stop()
	if s.sessions[keyOf(now.of)] == now {
		delete(s.sessions, keyOf(now.of))
	}
	delete(s.ids, now.id)
	delete(s.names, now.given.Username)
	var relays []*conn
	for c := range now.relays {
		relays = append(relays, c)
	}
	s.mu.Unlock()
	for _, c := range relays {
		_ = c.Close() // pion reads from it, and gives the allocation up
	}
}

// Len returns how many relays there are.
func (s *Server) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.relays
}

// Close closes all relays and the socket.
func (s *Server) Close() error { return s.turn.Close() }

// authenticate returns the key of who has credentials.
func (s *Server) authenticate(ra *turn.RequestAttributes) (id string, integrity []byte, ok bool) {
	s.mu.Lock()
	now := s.names[ra.Username]
	s.mu.Unlock()
	switch {
	case now == nil:
		s.refuse(nil, PolicyStranger, errors.New("relay: no such credentials"))
		return "", nil, false
	case ra.Realm != realm:
		s.refuse(now, "realm", errors.New("relay: another realm"))
		return "", nil, false
	case ra.Method == stun.MethodConnect || ra.Method == stun.MethodConnectionBind:
		s.refuse(now, "tcp", errTCP)
		return "", nil, false
	}
	return now.id, turn.GenerateAuthKey(ra.Username, realm, now.given.Password), true
}

var errTCP = errors.New("relay: UDP alone")

// quota is asked before an allocation.
func (s *Server) quota(id, _ string, _ net.Addr) bool {
	s.mu.Lock()
	now := s.ids[id]
	full := now == nil || len(now.relays) >= s.cfg.PerSession || s.relays >= s.cfg.MaxRelays
	s.mu.Unlock()
	if full {
		s.refuse(now, "quota", errors.New("relay: too many relays"))
	}
	return !full
}

// permits is asked before a permission and before a channel.
func (s *Server) permits(client net.Addr, peer net.IP) bool {
	addr, ok := netip.AddrFromSlice(peer)
	if ok {
		for _, allowed := range s.cfg.Allow {
			if allowed.Addr() == addr.Unmap() {
				return true
			}
		}
	}
	s.mu.Lock()
	now := s.clients[client.String()]
	s.mu.Unlock()
	s.refuse(now, "peer", errors.New("relay: another peer"))
	return false
}

// allows reports whether a datagram may go to a peer, or come from it.
func (s *Server) allows(peer net.Addr) bool {
	udp, ok := peer.(*net.UDPAddr)
	if !ok {
		return false
	}
	addr := udp.AddrPort()
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	return slices.Contains(s.cfg.Allow, addr)
}

func (s *Server) allocated(client, _ net.Addr, _, id, _ string, _ net.Addr, _ int) {
	s.mu.Lock()
	now := s.ids[id]
	if now != nil {
		s.clients[client.String()] = now
	}
	s.mu.Unlock()
}

func (s *Server) deleted(client, _ net.Addr, _, _, _ string) {
	s.mu.Lock()
	delete(s.clients, client.String())
	s.mu.Unlock()
}

func (s *Server) refuse(now *session, policy string, cause error) {
	usage := &Usage{}
	if now != nil {
		usage.Session = now.of
	}
	s.report(CodeRelayRefused, policy, false, usage, cause)
}

func (s *Server) report(code, policy string, allowed bool, usage *Usage, cause error) {
	if s.cfg.OnEvent == nil {
		return
	}
	s.cfg.OnEvent(context.Background(), sallyport.Event{
		Gate: gate, Code: code, Policy: policy, Allowed: allowed, Err: cause, Detail: usage,
		Tenant: usage.Session.Site, Actor: usage.Session.Subject,
	})
}
