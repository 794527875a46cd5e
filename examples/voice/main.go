// Command voice is a demo: two browser tabs talk through a media server that accepts
// nothing but encrypted audio, from whom a token lets in.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/voice/recording"
	"github.com/opsmantik/sallyport/examples/voice/server"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/envelope"
)

func main() {
	dir := flag.String("data", "voice-data", "folder of the audit log and of recordings")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *dir); err != nil {
		log.Fatal(err)
	}
}

// run serves on loopback alone: it signs in whoever names a user.
func run(ctx context.Context, dir string) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	trail, err := audit.New(audit.Config{Dir: filepath.Join(dir, "audit")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, trail.Close()) }()
	vault, store, err := newVault(dir)
	if err != nil {
		return err
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8443})
	if err != nil {
		return err
	}
	turn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 3478})
	if err != nil {
		return err
	}
	voice, err := server.New(server.Config{
		Conn: conn, TURN: turn, TURNAddress: netip.MustParseAddr("127.0.0.1"),
		Vault: vault, Store: store, Audit: trail, OnEvent: logEvent,
		Members: map[string]map[string]tenancy.Role{
			"ada": {"shop": server.RoleManager}, "bob": {"shop": server.RoleAgent},
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, voice.Close()) }()
	web := &http.Server{
		Addr: "127.0.0.1:8092", Handler: voice.Handler(),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
	}
	fmt.Println("http://127.0.0.1:8092/ in two tabs")
	context.AfterFunc(ctx, func() { _ = web.Close() })
	if err := web.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// newVault returns what recordings are sealed with, and where they are kept. In
// production the key encryption key is a KMS's, the keys are in a database, and the store
// is a bucket: three places.
func newVault(dir string) (*envelope.Vault, recording.Store, error) {
	kek, err := envelope.LocalKEK(filepath.Join(dir, "kek"))
	if err != nil {
		return nil, nil, err
	}
	keys, err := recording.NewKeyFiles(filepath.Join(dir, "keys"))
	if err != nil {
		return nil, nil, err
	}
	vault, err := envelope.New(envelope.Config{KEK: kek, Store: keys})
	if err != nil {
		return nil, nil, err
	}
	store, err := recording.NewDir(filepath.Join(dir, "recordings"))
	return vault, store, err
}

// logEvent shows admissions and refusals. That a limit was not reached is none.
func logEvent(ctx context.Context, e sallyport.Event) {
	if e.Allowed && e.Gate != "voice" {
		return
	}
	slog.InfoContext(ctx, e.Code, "gate", e.Gate, "allowed", e.Allowed, "policy", e.Policy,
		"tenant", e.Tenant, "err", e.Err)
}
