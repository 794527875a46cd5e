package media_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"
	pionmedia "github.com/pion/webrtc/v4/pkg/media"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/voice/media"
	"github.com/opsmantik/sallyport/hmacsig/ephemeral"
)

// wire is a socket that keeps every datagram.
type wire struct {
	net.PacketConn
	mu       sync.Mutex
	seen     [][]byte
	received int
	to       map[string]int
}

func (w *wire) ReadFrom(p []byte) (int, net.Addr, error) {
	n, addr, err := w.PacketConn.ReadFrom(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, bytes.Clone(p[:n]))
	w.received++
	return n, addr, err
}

func (w *wire) WriteTo(p []byte, addr net.Addr) (int, error) {
	w.mu.Lock()
	w.seen = append(w.seen, bytes.Clone(p))
	w.to[addr.String()]++
	w.mu.Unlock()
	return w.PacketConn.WriteTo(p, addr)
}

// holding counts the datagrams that hold a text.
func (w *wire) holding(text []byte) (datagrams, holding int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.seen {
		if bytes.Contains(d, text) {
			holding++
		}
	}
	return len(w.seen), holding
}

func (w *wire) sent() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, count := range w.to {
		n += count
	}
	return n
}

func newWire(t *testing.T) *wire {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	return &wire{PacketConn: conn, to: map[string]int{}}
}

// world is a server, its wire, and its events.
type world struct {
	*media.Server
	wire   *wire
	events chan sallyport.Event
}

func newWorld(t *testing.T, cfg media.Config) *world {
	t.Helper()
	w := &world{wire: newWire(t), events: make(chan sallyport.Event, 100)}
	cfg.Conn = w.wire
	cfg.OnEvent = func(_ context.Context, e sallyport.Event) { w.events <- e }
	server, err := media.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	w.Server = server
	return w
}

// event waits for the next event, which must have this code.
func (w *world) event(t *testing.T, code string) sallyport.Event {
	t.Helper()
	select {
	case e := <-w.events:
		require.Equal(t, code, e.Code, "%v", e.Err)
		return e
	case <-time.After(20 * time.Second):
		require.Fail(t, "no event", code)
		panic("unreachable")
	}
}

// client is a peer as others write them: pion as it comes.
type client struct {
	*webrtc.PeerConnection
	session ephemeral.Session
	out     *webrtc.TrackLocalStaticSample
	heard   chan []byte
}

func newCertificate(t *testing.T, key crypto.PrivateKey) (webrtc.Certificate, [32]byte) {
	t.Helper()
	if key == nil {
		var err error
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
	}
	certificate, err := webrtc.GenerateCertificate(key)
	require.NoError(t, err)
	prints, err := certificate.GetFingerprints()
	require.NoError(t, err)
	raw, err := hex.DecodeString(strings.ReplaceAll(prints[0].Value, ":", ""))
	require.NoError(t, err)
	require.Len(t, raw, sha256.Size)
	return *certificate, [32]byte(raw)
}

// newClient makes a peer of a user; the edit of its settings makes it hostile.
func newClient(
	t *testing.T, user string, key crypto.PrivateKey, edit func(*webrtc.SettingEngine),
) *client {
	t.Helper()
	e := webrtc.SettingEngine{}
	e.SetIncludeLoopbackCandidate(true)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	if edit != nil {
		edit(&e)
	}
	certificate, sum := newCertificate(t, key)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(e)).NewPeerConnection(webrtc.Configuration{
		Certificates: []webrtc.Certificate{certificate},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = pc.Close() })
	c := &client{PeerConnection: pc, heard: make(chan []byte, 1000), session: ephemeral.Session{
		Site: "shop", Room: "r1", Subject: user, Certificate: sum, ID: "jti-" + user,
		Expires: time.Now().Add(5 * time.Minute),
	}}
	c.out, err = webrtc.NewTrackLocalStaticSample(
		webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus}, "audio", user)
	require.NoError(t, err)
	_, err = pc.AddTrack(c.out)
	require.NoError(t, err)
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			packet, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			c.heard <- bytes.Clone(packet.Payload)
		}
	})
	return c
}

// offer makes an offer with all candidates.
func (c *client) offer(t *testing.T, options *webrtc.OfferOptions) string {
	t.Helper()
	offer, err := c.CreateOffer(options)
	require.NoError(t, err)
	gathered := webrtc.GatheringCompletePromise(c.PeerConnection)
	require.NoError(t, c.SetLocalDescription(offer))
	<-gathered
	return c.LocalDescription().SDP
}

func (c *client) answer(t *testing.T, text string) {
	t.Helper()
	require.NoError(t, c.SetRemoteDescription(webrtc.SessionDescription{
		Type: webrtc.SDPTypeAnswer, SDP: text,
	}))
}

// join has the client join, as far as the answer.
func (c *client) join(t *testing.T, w *world) {
	t.Helper()
	text, err := w.Offer(t.Context(), c.session, c.offer(t, nil))
	require.NoError(t, err)
	w.event(t, media.CodeJoined)
	c.answer(t, text)
}

// say sends a payload every 20 ms until the test is over.
func (c *client) say(t *testing.T, payload []byte) {
	go func() {
		for t.Context().Err() == nil {
			_ = c.out.WriteSample(pionmedia.Sample{Data: payload, Duration: 20 * time.Millisecond})
			<-time.After(20 * time.Millisecond)
		}
	}()
}

// hears waits until the client has heard a payload n times.
func (c *client) hears(t *testing.T, payload []byte, n int) {
	t.Helper()
	for n > 0 {
		select {
		case got := <-c.heard:
			if bytes.Equal(got, payload) {
				n--
			}
		case <-time.After(20 * time.Second):
			require.Fail(t, "nothing is heard")
		}
	}
}

// connects waits until the client, too, has finished the handshake.
func (c *client) connects(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		return c.ConnectionState() == webrtc.PeerConnectionStateConnected
	}, 20*time.Second, 10*time.Millisecond)
}
