package hmacsig_test

import (
	"net"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v4"

	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/ephemeral"
)

// allocate asks a TURN server for a relay address.
func allocate(t *testing.T, server string, c ephemeral.TURNCredentials) error {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	client, err := turn.NewClient(&turn.ClientConfig{
		STUNServerAddr: server, TURNServerAddr: server, Conn: conn,
		Username: c.Username, Password: c.Password, Realm: "sallyport.test",
		RTO: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Listen(); err != nil {
		t.Fatal(err)
	}
	relay, err := client.Allocate()
	if err != nil {
		return err
	}
	return relay.Close()
}

// TestTURNServer proves ephemeral.TURN against a real TURN server.
func TestTURNServer(t *testing.T) {
	secret := hmacsig.Generate()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := logging.NewDefaultLoggerFactory()
	log.DefaultLogLevel = logging.LogLevelDisabled
	server, err := turn.NewServer(turn.ServerConfig{
		Realm:         "sallyport.test",
		LoggerFactory: log,
		AuthHandler:   turn.LongTermTURNRESTAuthHandler(secret.Reveal(), log.NewLogger("turn")),
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn: conn,
			RelayAddressGenerator: &turn.RelayAddressGeneratorStatic{
				RelayAddress: net.ParseIP("127.0.0.1"), Address: "127.0.0.1",
			},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	address := conn.LocalAddr().String()

	good := must(must(ephemeral.NewTURN(secret, 0)).Credentials("user-1"))
	if err := allocate(t, address, good); err != nil {
		t.Fatalf("valid credentials: %v", err)
	}
	altered := good
	altered.Password = good.Password[1:] + good.Password[:1]
	if allocate(t, address, altered) == nil {
		t.Error("altered password allocated a relay")
	}
	renamed := good
	renamed.Username += "0"
	if allocate(t, address, renamed) == nil {
		t.Error("another user allocated a relay")
	}
	expired := good
	expired.Username = "1000000000:user-1"
	if allocate(t, address, expired) == nil {
		t.Error("expired name allocated a relay")
	}
	stranger := must(must(ephemeral.NewTURN(hmacsig.Generate(), 0)).Credentials("user-1"))
	if allocate(t, address, stranger) == nil {
		t.Error("another secret allocated a relay")
	}
}
