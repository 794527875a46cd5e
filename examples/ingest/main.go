// Command ingest is sallyport's reference server: it ingests call and
// conversion events from browsers for many sites. Copy it.
//
// Without settings it runs in demo mode on this machine alone. See the
// settings in the README, or -h.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/opsmantik/sallyport/examples/ingest/server"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run returns the exit code: 2 for settings that cannot be served.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	s, err := settings.Load(args, environ)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "ingest: settings:\n%v\n", err)
		return 2
	}
	log, closeLog, err := server.NewLogger(stderr, s.SentryDSN)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "ingest: settings:\n%v\n", err)
		return 2
	}
	defer closeLog()
	server.RedirectRedisLog(log)
	srv, err := server.Open(ctx, s, log, sqlite.Full)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "ingest:", err)
		return 1
	}
	banner(stdout, s, srv.Addresses())
	if err := srv.Run(ctx); err != nil {
		_, _ = fmt.Fprintln(stderr, "ingest:", err)
		return 1
	}
	return 0
}
