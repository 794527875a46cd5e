package relay_test

import (
	"bytes"
	"context"
	"maps"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/voice/relay"
	"github.com/opsmantik/sallyport/hmacsig/ephemeral"
)

// counted is a socket that counts where datagrams go. None leaves this machine.
type counted struct {
	net.PacketConn
	mu *sync.Mutex
	to map[string]int
}

func (c counted) WriteTo(p []byte, addr net.Addr) (int, error) {
	c.mu.Lock()
	c.to[addr.String()]++
	c.mu.Unlock()
	if !addr.(*net.UDPAddr).IP.IsLoopback() {
		return len(p), nil
	}
	return c.PacketConn.WriteTo(p, addr)
}

// world is a TURN server, the media server that it leads to, and what it tells.
type world struct {
	*relay.Server
	addr   string
	media  net.PacketConn
	events chan sallyport.Event
	mu     sync.Mutex
	to     map[string]int
}

func listen(t *testing.T) net.PacketConn {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func addrPort(conn net.PacketConn) netip.AddrPort {
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func newWorld(t *testing.T, edit func(*relay.Config)) *world {
	t.Helper()
	conn := listen(t)
	w := &world{
		addr: conn.LocalAddr().String(), media: listen(t), events: make(chan sallyport.Event, 1000),
		to: map[string]int{},
	}
	cfg := relay.Config{
		Conn: conn, Address: netip.MustParseAddr("127.0.0.1"),
		Allow:   []netip.AddrPort{addrPort(w.media)},
		OnEvent: func(_ context.Context, e sallyport.Event) { w.events <- e },
	}
	if edit != nil {
		edit(&cfg)
	}
	var err error
	w.Server, err = relay.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.Close() })
	relay.Listen(w.Server, func(network, address string) (net.PacketConn, error) {
		conn, err := net.ListenPacket(network, address)
		return counted{conn, &w.mu, w.to}, err
	})
	return w
}

func (w *world) sent() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[string]int{}
	maps.Copy(all, w.to)
	return all
}

func (w *world) event(t *testing.T, code, policy string) *relay.Usage {
	t.Helper()
	for {
		select {
		case e := <-w.events:
			if e.Code != code {
				continue
			}
			require.Equal(t, policy, e.Policy)
			require.Equal(t, code != relay.CodeRelayRefused, e.Allowed)
			return e.Detail.(*relay.Usage)
		case <-time.After(20 * time.Second):
			require.Fail(t, "no event", code)
		}
	}
}

var ada = ephemeral.Session{Site: "shop", Room: "r1", Subject: "ada", Certificate: [32]byte{1}}

// client is a TURN client as others write it.
func client(t *testing.T, addr string, c ephemeral.TURNCredentials) *turn.Client {
	t.Helper()
	silent := logging.NewDefaultLoggerFactory()
	silent.DefaultLogLevel, silent.ScopeLevels = logging.LogLevelDisabled, nil
	made, err := turn.NewClient(&turn.ClientConfig{
		STUNServerAddr: addr, TURNServerAddr: addr, Conn: listen(t), LoggerFactory: silent,
		Username: c.Username, Password: c.Password, Realm: "voice", RTO: 100 * time.Millisecond,
	})
	require.NoError(t, err)
	require.NoError(t, made.Listen())
	t.Cleanup(made.Close)
	return made
}

// allocate opens a relay for a session.
func (w *world) allocate(t *testing.T, of ephemeral.Session) (net.PacketConn, error) {
	t.Helper()
	c, err := w.Grant(of)
	require.NoError(t, err)
	return client(t, w.addr, c).Allocate()
}

func TestRelay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	conn, err := w.allocate(t, ada)
	require.NoError(t, err)
	require.Equal(t, "ada", w.event(t, relay.CodeRelayOpened, "").Session.Subject)
	_, err = conn.WriteTo([]byte("hello"), w.media.LocalAddr())
	require.NoError(t, err)
	buf := make([]byte, 100)
	n, from, err := w.media.ReadFrom(buf)
	require.NoError(t, err)
	require.Equal(t, "hello", string(buf[:n]))
	// From elsewhere nothing comes through, and from the media server it does.
	_, err = listen(t).WriteTo([]byte("a stranger"), from)
	require.NoError(t, err)
	_, err = w.media.WriteTo([]byte("welcome"), from)
	require.NoError(t, err)
	n, peer, err := conn.ReadFrom(buf)
	require.NoError(t, err)
	require.Equal(t, "welcome", string(buf[:n]))
	require.Equal(t, w.media.LocalAddr().String(), peer.String())
	w.End(ada)
	usage := w.event(t, relay.CodeRelayClosed, "")
	require.Equal(t, &relay.Usage{Session: ada, In: 7, Out: 5, Dropped: 1}, usage)
	require.Zero(t, w.Len())
	_, err = conn.WriteTo([]byte("is anybody there?"), w.media.LocalAddr())
	require.NoError(t, err, "as UDP has it")
	require.Equal(t, map[string]int{w.media.LocalAddr().String(): 1}, w.sent())
}

// special are peers that nobody may reach through the server.
var special = []string{
	"0.0.0.0", "0.1.2.3", "127.0.0.2", "10.0.0.1", "100.64.0.1", "169.254.169.254", "172.16.0.1",
	"192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
	"224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
	"64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1",
	"fe80::1", "fc00::1", "ff02::1",
}

// TestNoOtherPeer: no permission, no channel and no datagram for any other address, nor
// for another port of the right one.
func TestNoOtherPeer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	conn, err := w.allocate(t, ada)
	require.NoError(t, err)
	w.event(t, relay.CodeRelayOpened, "")
	for _, addr := range special {
		peer := &net.UDPAddr{IP: net.ParseIP(addr), Port: int(addrPort(w.media).Port())}
		if addr == "::ffff:127.0.0.1" {
			peer.Port++ // it is the media server's address, in another spelling
		}
		_, err := conn.WriteTo([]byte("hello"), peer)
		if addr != "::ffff:127.0.0.1" {
			require.Error(t, err, addr)
		}
	}
	victim := listen(t)
	for range 3 {
		_, err = conn.WriteTo([]byte("hello"), victim.LocalAddr())
		require.NoError(t, err, "the permission is for the address, whatever the port")
		_, err = conn.WriteTo([]byte("hello"), w.media.LocalAddr())
		require.NoError(t, err)
		<-time.After(50 * time.Millisecond) // the client binds a channel meanwhile
	}
	w.event(t, relay.CodeRelayRefused, "peer")
	w.End(ada)
	require.GreaterOrEqual(t, w.event(t, relay.CodeRelayClosed, "").Dropped, int64(3))
	require.Equal(t, map[string]int{w.media.LocalAddr().String(): 3}, w.sent())

	// The same through a server as it comes.
	to, mu := map[string]int{}, &sync.Mutex{}
	listener := listen(t)
	plain, err := turn.NewServer(turn.ServerConfig{
		Realm: "voice", AuthHandler: func(ra *turn.RequestAttributes) (string, []byte, bool) {
			return "x", turn.GenerateAuthKey(ra.Username, ra.Realm, "x"), true
		},
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn: listener, RelayAddressGenerator: anywhere{to: to, mu: mu},
		}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = plain.Close() })
	open, err := client(t, listener.LocalAddr().String(),
		ephemeral.TURNCredentials{Username: "x", Password: "x"}).Allocate()
	require.NoError(t, err)
	_, err = open.WriteTo([]byte("hello"), victim.LocalAddr())
	require.NoError(t, err)
	_, _, err = victim.ReadFrom(make([]byte, 100))
	require.NoError(t, err, "as it comes, it leads to the victim")
	_, err = open.WriteTo([]byte("hello"), &net.UDPAddr{IP: net.IPv4(169, 254, 169, 254), Port: 80})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return to["169.254.169.254:80"] > 0
	}, 10*time.Second, 10*time.Millisecond, "and to the cloud's metadata")
}

// anywhere is a generator that counts, and allows everything.
type anywhere struct {
	*turn.RelayAddressGeneratorNone
	to map[string]int
	mu *sync.Mutex
}

func (anywhere) Validate() error { return nil }

func (a anywhere) AllocatePacketConn(turn.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	return counted{conn, a.mu, a.to}, conn.LocalAddr(), nil
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	good, err := w.Grant(ada)
	require.NoError(t, err)
	again, err := w.Grant(ada)
	require.NoError(t, err)
	require.Equal(t, good, again)
	for name, edit := range map[string]func(*ephemeral.TURNCredentials){
		"another password": func(c *ephemeral.TURNCredentials) { c.Password = "x" + c.Password[1:] },
		"another name":     func(c *ephemeral.TURNCredentials) { c.Username += "x" },
		"a later name":     func(c *ephemeral.TURNCredentials) { c.Username = "9" + c.Username },
		"none":             func(c *ephemeral.TURNCredentials) { *c = ephemeral.TURNCredentials{} },
	} {
		bad := good
		edit(&bad)
		_, err := client(t, w.addr, bad).Allocate()
		require.Error(t, err, name)
	}
	w.event(t, relay.CodeRelayRefused, relay.PolicyStranger)
	w.End(ada)
	_, err = client(t, w.addr, good).Allocate()
	require.Error(t, err, "they end with the session")
	fresh, err := w.Grant(ada)
	require.NoError(t, err)
	require.NotEqual(t, good, fresh)
	w.EndUser("ada")
	_, err = client(t, w.addr, fresh).Allocate()
	require.Error(t, err)
	require.Zero(t, w.Len())
}

// TestARelayWithoutASessionEnds, and one with a session stays.
func TestARelayWithoutASessionEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *relay.Config) { c.Lifetime = time.Second; c.Interval = time.Second })
	bob := ada
	bob.Subject = "bob"
	_, err := w.allocate(t, ada)
	require.NoError(t, err)
	kept, err := w.allocate(t, bob)
	require.NoError(t, err)
	w.Open(bob)
	require.Equal(t, "ada", w.event(t, relay.CodeRelayClosed, "").Session.Subject)
	for w.event(t, relay.CodeRelayUsed, "").Session.Subject != "bob" {
	}
	require.Equal(t, 1, w.Len())
	_, err = kept.WriteTo([]byte("still here"), w.media.LocalAddr())
	require.NoError(t, err)
	buf := make([]byte, 100)
	n, _, err := w.media.ReadFrom(buf)
	require.NoError(t, err)
	require.Equal(t, "still here", string(buf[:n]))
	w.End(bob)
	require.Zero(t, w.Len())
}

func TestQuotas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *relay.Config) {
		c.PerSession, c.MaxRelays, c.BytesPerSecond, c.MaxBytes = 1, 2, 1024, 3000
	})
	conn, err := w.allocate(t, ada)
	require.NoError(t, err)
	_, err = w.allocate(t, ada)
	require.Error(t, err, "one per session")
	w.event(t, relay.CodeRelayRefused, "quota")
	bob, eve := ada, ada
	bob.Subject, eve.Subject = "bob", "eve"
	_, err = w.allocate(t, bob)
	require.NoError(t, err)
	_, err = w.allocate(t, eve)
	require.Error(t, err, "two in all")

	buf, began := bytes.Repeat([]byte("x"), 500), time.Now()
	for range 6 {
		_, err = conn.WriteTo(buf, w.media.LocalAddr())
		require.NoError(t, err)
	}
	passed := float64(500 * w.sent()[w.media.LocalAddr().String()])
	require.LessOrEqual(t, passed, 1024*(1+time.Since(began).Seconds()), "a kilobyte at once")
	for range 6 {
		<-time.After(600 * time.Millisecond)
		_, err = conn.WriteTo(buf, w.media.LocalAddr())
		require.NoError(t, err)
	}
	<-time.After(300 * time.Millisecond)
	w.End(ada)
	usage := w.event(t, relay.CodeRelayClosed, "")
	require.Equal(t, int64(3000), usage.Out, "and no more in all")
	require.Equal(t, int64(6), usage.Dropped)
}

// TestUDPAlone: TCP (RFC 6062), reserved ports and another family are refused.
func TestUDPAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c, err := w.Grant(ada)
	require.NoError(t, err)
	_, err = client(t, w.addr, c).AllocateTCP()
	require.Error(t, err)
	w.event(t, relay.CodeRelayRefused, "tcp")
	key := stun.MessageIntegrity(turn.GenerateAuthKey(c.Username, "voice", c.Password))
	for name, method := range map[string]stun.Method{
		"connect": stun.MethodConnect, "connection bind": stun.MethodConnectionBind,
	} {
		require.Equal(t, stun.ClassErrorResponse, w.request(t, c.Username, key, method).Class, name)
		w.event(t, relay.CodeRelayRefused, "tcp")
	}
	for name, attribute := range map[string]stun.RawAttribute{
		"an even port": {Type: stun.AttrEvenPort, Value: []byte{0x80}},
		"IPv6":         {Type: stun.AttrRequestedAddressFamily, Value: []byte{2, 0, 0, 0}},
	} {
		answer := w.request(t, c.Username, key, stun.MethodAllocate, setter{attribute},
			setter{stun.RawAttribute{Type: stun.AttrRequestedTransport, Value: []byte{17, 0, 0, 0}}})
		require.Equal(t, stun.ClassErrorResponse, answer.Class, name)
	}
	require.Zero(t, w.Len())
}

type setter struct{ stun.RawAttribute }

func (s setter) AddTo(m *stun.Message) error { m.Add(s.Type, s.Value); return nil }

// request sends a request with a fresh nonce, and returns the type of the answer.
func (w *world) request(
	t *testing.T, user string, key stun.MessageIntegrity, method stun.Method, more ...stun.Setter,
) stun.MessageType {
	t.Helper()
	conn, err := net.Dial("udp4", w.addr)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	exchange := func(setters ...stun.Setter) *stun.Message {
		m, err := stun.Build(setters...)
		require.NoError(t, err)
		_, err = conn.Write(m.Raw)
		require.NoError(t, err)
		buf := make([]byte, 1500)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
		n, err := conn.Read(buf)
		require.NoError(t, err)
		answer := &stun.Message{Raw: buf[:n]}
		require.NoError(t, answer.Decode())
		return answer
	}
	kind := stun.NewType(method, stun.ClassRequest)
	var nonce stun.Nonce
	require.NoError(t, nonce.GetFrom(exchange(stun.TransactionID,
		stun.NewType(stun.MethodAllocate, stun.ClassRequest))))
	all := append([]stun.Setter{stun.TransactionID, kind}, more...)
	all = append(all, stun.NewUsername(user), stun.NewRealm("voice"), nonce, key)
	return exchange(all...).Type
}

func TestConfig(t *testing.T) {
	t.Parallel()
	_, err := relay.New(relay.Config{})
	for _, field := range []string{"Conn", "Address", "Allow"} {
		require.ErrorContains(t, err, field)
	}
	for _, allow := range []string{"0.0.0.0:1", "224.0.0.1:1", "127.0.0.1:0", "[::ffff:127.0.0.1]:1"} {
		_, err := relay.New(relay.Config{
			Conn: listen(t), Address: netip.MustParseAddr("127.0.0.1"),
			Allow: []netip.AddrPort{netip.MustParseAddrPort(allow)},
		})
		require.ErrorContains(t, err, "Allow", allow)
	}
	var zero *relay.Server
	_, err = zero.Grant(ada)
	require.Error(t, err)
	_, err = (&relay.Server{}).Grant(ada)
	require.Error(t, err)
}
