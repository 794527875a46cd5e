package relay

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/turn/v5"
)

// generator opens the sockets of relays.
type generator struct{ s *Server }

// Validate implements turn.RelayAddressGenerator.
func (generator) Validate() error { return nil }

// AllocatePacketConn implements turn.RelayAddressGenerator.
func (g generator) AllocatePacketConn(
	cfg turn.AllocateListenerConfig,
) (net.PacketConn, net.Addr, error) {
	if (cfg.Network == "udp4") != g.s.cfg.Address.Is4() {
		return nil, nil, errors.New("relay: another address family")
	}
	socket, err := g.s.listen(cfg.Network, net.JoinHostPort(g.s.cfg.Address.String(), "0"))
	if err != nil {
		return nil, nil, err
	}
	c := &conn{PacketConn: socket, server: g.s}
	if !g.s.add(cfg.UserID, c) { // to look for an even port, pion asks for nobody
		_ = socket.Close()
		return nil, nil, errors.New("relay: the session has ended")
	}
	return c, socket.LocalAddr(), nil
}

// AllocateListener implements turn.RelayAddressGenerator: no TCP (RFC 6062).
func (g generator) AllocateListener(turn.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	g.s.refuse(nil, "tcp", errTCP)
	return nil, nil, errTCP
}

// AllocateConn implements turn.RelayAddressGenerator: likewise.
func (generator) AllocateConn(turn.AllocateConnConfig) (net.Conn, error) { return nil, errTCP }

// add makes a socket one of a session's.
func (s *Server) add(id string, c *conn) bool {
	s.mu.Lock()
	now := s.ids[id]
	if now == nil || now.ended || len(now.relays) >= s.cfg.PerSession || s.relays >= s.cfg.MaxRelays {
		s.mu.Unlock()
		return false
	}
	c.session = now
	now.relays[c] = struct{}{}
	s.relays++
	c.ticker = time.AfterFunc(s.cfg.Interval, c.tick)
	s.mu.Unlock()
	s.report(CodeRelayOpened, "", true, c.usage(), nil)
	return true
}

// conn is the socket of a relay. It asks the allow-list for each datagram, and counts.
type conn struct {
	net.PacketConn
	server  *Server
	session *session
	ticker  *time.Timer
	once    sync.Once

	in, out, dropped atomic.Int64
}

func (c *conn) usage() *Usage {
	return &Usage{
		Session: c.session.of, In: c.in.Load(), Out: c.out.Load(), Dropped: c.dropped.Load(),
	}
}

// passes reports whether a datagram of n bytes is within what the session may relay.
func (c *conn) passes(n int) bool {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if c.session.bytes+int64(n) > c.server.cfg.MaxBytes || !c.session.rate.AllowN(time.Now(), n) {
		return false
	}
	c.session.bytes += int64(n)
	return true
}

// WriteTo sends to a peer of the allow-list. To others it sends nothing.
func (c *conn) WriteTo(p []byte, peer net.Addr) (int, error) {
	if !c.server.allows(peer) || !c.passes(len(p)) {
		c.dropped.Add(1)
		return len(p), nil // lost, as datagrams may be
	}
	n, err := c.PacketConn.WriteTo(p, peer)
	c.out.Add(int64(n))
	return n, err
}

// ReadFrom returns what comes from a peer of the allow-list.
func (c *conn) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, peer, err := c.PacketConn.ReadFrom(p)
		if err != nil {
			return n, peer, err
		}
		if c.server.allows(peer) && c.passes(n) {
			c.in.Add(int64(n))
			return n, peer, nil
		}
		c.dropped.Add(1)
	}
}

func (c *conn) tick() {
	c.server.report(CodeRelayUsed, "", true, c.usage(), nil)
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if _, open := c.session.relays[c]; open {
		c.ticker.Reset(c.server.cfg.Interval)
	}
}

// Close gives the place of the relay back.
func (c *conn) Close() error {
	err := c.PacketConn.Close()
	c.once.Do(func() {
		s := c.server
		s.mu.Lock()
		c.ticker.Stop()
		delete(c.session.relays, c)
		s.relays--
		s.mu.Unlock()
		s.report(CodeRelayClosed, "", true, c.usage(), nil)
	})
	return err
}
