package media_test

import (
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/voice/media"
	"github.com/opsmantik/sallyport/examples/voice/sdp"
	"github.com/opsmantik/sallyport/hmacsig/ephemeral"
)

// TestOnlyAudioIsOpened: video and data of an offer are closed in the answer, and the
// peers talk.
func TestOnlyAudioIsOpened(t *testing.T) {
	t.Parallel()
	w := newWorld(t, media.Config{})
	a, b := newClient(t, "ada", nil, nil), newClient(t, "bob", nil, nil)
	_, err := a.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{
		Direction: webrtc.RTPTransceiverDirectionRecvonly,
	})
	require.NoError(t, err)
	_, err = a.CreateDataChannel("chat", nil)
	require.NoError(t, err)
	for _, c := range []*client{a, b} {
		c.join(t, w)
		w.event(t, media.CodeConnected)
	}
	answer := a.RemoteDescription().SDP
	require.Contains(t, answer, "m=video 0 ")
	require.Contains(t, answer, "m=application 0 ")
	a.say(t, spoken)
	b.say(t, spoken)
	a.hears(t, spoken, 5)
	b.hears(t, spoken, 5)
}

var anyPrint = regexp.MustCompile(`(?i)a=fingerprint:sha-256 ([0-9A-F]{2}(?::[0-9A-F]{2}){31})`)

// TestForeignOffersAreAnswered hands pion what package sdp made of every offer that it
// accepts from the folder that SALLYPORT_SDP_CORPUS names.
func TestForeignOffersAreAnswered(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("SALLYPORT_SDP_CORPUS")
	if dir == "" {
		t.Skip("SALLYPORT_SDP_CORPUS names no folder")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.sdp"))
	require.NoError(t, err)
	w := newWorld(t, media.Config{})
	answered := 0
	for _, name := range files {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		m := anyPrint.FindStringSubmatch(string(raw))
		if m == nil {
			continue
		}
		sum, err := hex.DecodeString(strings.ReplaceAll(m[1], ":", ""))
		require.NoError(t, err)
		if _, err := sdp.Read(sdp.Offer, string(raw), [32]byte(sum)); err != nil {
			continue
		}
		answer, err := w.Offer(t.Context(), ephemeral.Session{
			Site: "shop", Room: filepath.Base(name), Subject: "ada", Certificate: [32]byte(sum),
			ID: filepath.Base(name), Expires: time.Now().Add(time.Minute),
		}, string(raw))
		require.NoError(t, err, name)
		require.Contains(t, answer, "a=setup:passive", name)
		answered++
	}
	require.Greater(t, answered, 20)
	t.Log(answered)
}

// TestTheAddressThatPeersAreTold: behind a NAT it is that of Config.Address, and those of
// this machine's networks are nobody's business.
func TestTheAddressThatPeersAreTold(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{})
	require.NoError(t, err)
	server, err := media.New(media.Config{Conn: conn, Address: netip.MustParseAddr("203.0.113.7")})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	c := newClient(t, "ada", nil, nil)
	answer, err := server.Offer(t.Context(), c.session, c.offer(t, nil))
	require.NoError(t, err)
	told := regexp.MustCompile(`a=candidate:\S+ \d udp \d+ (\S+) (\d+)`).FindAllStringSubmatch(answer, -1)
	require.NotEmpty(t, told, answer)
	for _, candidate := range told {
		require.Equal(t, "203.0.113.7", candidate[1])
		require.Equal(t, strconv.Itoa(conn.LocalAddr().(*net.UDPAddr).Port), candidate[2])
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	_, err := media.New(media.Config{Capacity: 17, MaxSessions: -1, Handshake: time.Hour, TokenLifetime: 1})
	for _, field := range []string{"Conn", "Capacity", "MaxSessions", "Handshake", "TokenLifetime"} {
		require.ErrorContains(t, err, field)
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = media.New(media.Config{Conn: conn})
	require.ErrorContains(t, err, "Address", "which one, of all?")
	for _, addr := range []string{"0.0.0.0", "224.0.0.1"} {
		_, err = media.New(media.Config{Conn: conn, Address: netip.MustParseAddr(addr)})
		require.ErrorContains(t, err, "Address")
	}
}
