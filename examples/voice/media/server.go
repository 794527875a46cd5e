package media

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/voice/sdp"
	"github.com/opsmantik/sallyport/hmacsig/ephemeral"
)

// Server connects the peers of rooms. It is safe for concurrent use. The zero Server
// and nil refuse.
type Server struct {
	cfg         Config
	mux         ice.UDPMux
	certificate webrtc.Certificate
	fingerprint [sha256.Size]byte
	loosen      func(*webrtc.SettingEngine) // of tests alone: what would happen without

	mu      sync.Mutex
	closed  bool
	rooms   map[room]*call
	open    int // sessions
	revoked revocations
}

// room names a room: the same name in another site is another room.
type room struct{ site, name string }

// call is a room with somebody in it.
type call struct {
	id    string
	peers map[*peer]struct{}
}

// New returns a Server, or every problem of the configuration at once. It owns Conn
// from then on.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, rooms: map[room]*call{}, revoked: revocations{
		life: cfg.TokenLifetime, tokens: map[string]time.Time{}, users: map[string]time.Time{},
	}}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	certificate, err := webrtc.GenerateCertificate(key)
	if err != nil {
		return nil, err
	}
	s.certificate = *certificate
	prints, err := certificate.GetFingerprints()
	if err != nil {
		return nil, err
	}
	for _, p := range prints {
		if p.Algorithm == "sha-256" {
			_, err = hex.Decode(s.fingerprint[:], []byte(strings.ReplaceAll(p.Value, ":", "")))
		}
	}
	if err != nil || s.fingerprint == [sha256.Size]byte{} {
		return nil, errors.Join(errors.New("media: no fingerprint"), err)
	}
	s.mux = webrtc.NewICEUDPMux(discard, cfg.Conn)
	return s, nil
}

// Offer takes the offer of the peer that a token has let in, and returns the answer.
// An offer for a session that is open, with the same certificate in the same room,
// renegotiates it. The error is a *sallyport.Refusal.
func (s *Server) Offer(
	ctx context.Context, session ephemeral.Session, offer string,
) (answer string, err error) {
	d := &Decision{Session: session}
	if s == nil || s.mux == nil {
		return "", s.refusal(CodeNotConfigured, d, nil)
	}
	description, err := sdp.Read(sdp.Offer, offer, session.Certificate)
	if violation, bad := errors.AsType[*sdp.Violation](err); bad {
		d.Violation = violation
		return "", s.refuse(ctx, CodeDescriptionRefused, d, err)
	}
	p, fresh, code := s.place(ctx, session)
	if code != "" {
		return "", s.refuse(ctx, code, d, nil)
	}
	p.negotiating.Lock()
	defer p.negotiating.Unlock()
	if fresh {
		if err := p.start(); err != nil {
			p.discard()
			return "", s.refuse(ctx, CodeMediaFailed, d, err)
		}
	}
	answer, err = p.answer(description)
	if err != nil {
		if fresh {
			p.discard()
		}
		return "", s.refuse(ctx, CodeMediaFailed, d, err)
	}
	code = CodeRenegotiated
	if fresh {
		code = CodeJoined
	}
	if err := s.allow(ctx, code, d); err != nil {
		if fresh {
			p.discard()
		}
		return "", s.refuse(ctx, CodeNotRecorded, d, err)
	}
	select {
	case <-p.ended: // revoked meanwhile
		return "", s.refusal(cmp.Or(p.why, CodeMediaFailed), d, nil)
	default:
	}
	if fresh {
		p.await()
	}
	return answer, nil
}

// newID names a call: 128 random bits.
func newID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	return base64.RawURLEncoding.EncodeToString(id)
}

// place finds the open session of this certificate, or makes room for a new one.
func (s *Server) place(
	ctx context.Context, session ephemeral.Session,
) (p *peer, fresh bool, code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false, CodeNotConfigured
	}
	if s.revoked.has(session) {
		return nil, false, CodeRevoked
	}
	at := room{session.Site, session.Room}
	here := s.rooms[at]
	if here == nil {
		here = &call{id: newID(), peers: map[*peer]struct{}{}}
	}
	for p := range here.peers {
		same := p.session.Subject == session.Subject && p.session.Certificate == session.Certificate
		if same {
			return p, false, ""
		}
	}
	switch {
	case len(here.peers) >= s.cfg.Capacity:
		return nil, false, CodeRoomFull
	case s.open >= s.cfg.MaxSessions:
		return nil, false, CodeBusy
	}
	p = newPeer(context.WithoutCancel(ctx), s, here.id, session)
	here.peers[p] = struct{}{}
	s.rooms[at] = here
	s.open++
	return p, true, ""
}

// leave takes a peer out of its room.
func (s *Server) leave(p *peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := room{p.session.Site, p.session.Room}
	here := s.rooms[at]
	if here == nil {
		return
	}
	if _, there := here.peers[p]; !there {
		return
	}
	delete(here.peers, p)
	s.open--
	if len(here.peers) == 0 {
		delete(s.rooms, at)
	}
}

// others appends the peers that are in the room beside p.
func (s *Server) others(dst []*peer, p *peer) []*peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	here := s.rooms[room{p.session.Site, p.session.Room}]
	if here == nil {
		return dst
	}
	for other := range here.peers {
		if other != p {
			dst = append(dst, other)
		}
	}
	return dst
}

// Len returns how many sessions are open.
func (s *Server) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// Close ends all sessions, and closes the socket.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for _, p := range s.matching(func(ephemeral.Session) bool { return true }) {
		p.end(CodeEnded, nil)
	}
	return s.mux.Close()
}

func (s *Server) matching(match func(ephemeral.Session) bool) []*peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*peer
	for _, here := range s.rooms {
		for p := range here.peers {
			if match(p.session) {
				found = append(found, p)
			}
		}
	}
	return found
}

// allow records and reports a decision that lets somebody do something.
func (s *Server) allow(ctx context.Context, code string, d *Decision) error {
	return s.report(ctx, code, d, true, nil)
}

// refuse records and reports a refusal, and returns it. A refusal that cannot be
// recorded is one all the same.
func (s *Server) refuse(ctx context.Context, code string, d *Decision, cause error) error {
	err := s.report(ctx, code, d, false, cause)
	return s.refusal(code, d, errors.Join(cause, err))
}

func (s *Server) report(
	ctx context.Context, code string, d *Decision, allowed bool, cause error,
) error {
	e := sallyport.Event{
		Gate: gate, Code: code, Allowed: allowed, Tenant: d.Session.Site, Actor: d.Session.Subject,
		Err: cause, Detail: d,
	}
	if d.Violation != nil {
		e.Policy = d.Violation.Rule
	}
	if s.cfg.Record != nil {
		if err := s.cfg.Record(ctx, e); err != nil && allowed {
			return err // whoever asked gets a refusal, which is its own decision
		} else if err != nil {
			e.Err = errors.Join(cause, err)
		}
	}
	if s.cfg.OnEvent != nil {
		s.cfg.OnEvent(ctx, e)
	}
	return nil
}
