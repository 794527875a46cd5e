package server_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v5"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/voice/relay"
	"github.com/opsmantik/sallyport/examples/voice/sdp"
	"github.com/opsmantik/sallyport/examples/voice/server"
)

// TestRelaysComeWithATokenAndGoWithTheUser: credentials for a relay to the media server,
// which ends with the sign-out.
func TestRelaysComeWithATokenAndGoWithTheUser(t *testing.T) {
	t.Parallel()
	var media net.PacketConn
	s := newSite(t, func(c *server.Config) {
		media, c.TURN, c.TURNAddress = c.Conn, newSocket(t), netip.MustParseAddr("127.0.0.1")
	})
	ada := signIn(t, s.Handler(), "ada")
	status, body := s.do(t, "/sites/shop/rooms/r1/token", "application/json",
		`{"fingerprint":"`+sdp.Fingerprint([32]byte{1})+`"}`, ada)
	require.Equal(t, http.StatusOK, status, body)
	var answer struct {
		Turn struct{ URLs, Username, Credential string }
	}
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	addr := strings.TrimSuffix(strings.TrimPrefix(answer.Turn.URLs, "turn:"), "?transport=udp")
	silent := logging.NewDefaultLoggerFactory()
	silent.DefaultLogLevel, silent.ScopeLevels = logging.LogLevelDisabled, nil
	client, err := turn.NewClient(&turn.ClientConfig{
		TURNServerAddr: addr, Conn: newSocket(t), Username: answer.Turn.Username,
		Password: answer.Turn.Credential, Realm: "voice", LoggerFactory: silent,
	})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	require.NoError(t, client.Listen())
	conn, err := client.Allocate()
	require.NoError(t, err)
	_, err = conn.WriteTo([]byte("hello"), media.LocalAddr())
	require.NoError(t, err)
	_, err = conn.WriteTo([]byte("hello"), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2), Port: 80})
	require.Error(t, err)
	code, outcome := s.trail.last()
	require.Equal(t, relay.CodeRelayRefused, code)
	require.Equal(t, audit.OutcomeDenied, outcome)

	status, _ = s.do(t, "/logout", "application/json", "{}", ada)
	require.Equal(t, http.StatusNoContent, status)
	require.Eventually(t, func() bool {
		code, outcome := s.trail.last()
		return code == relay.CodeRelayClosed && outcome == audit.OutcomeSuccess
	}, 10*time.Second, 10*time.Millisecond)
}
