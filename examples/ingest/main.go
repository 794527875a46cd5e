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
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/opsmantik/sallyport/examples/ingest/operate"
	"github.com/opsmantik/sallyport/examples/ingest/server"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/telemetry"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the process at once.
	context.AfterFunc(ctx, stop)
	console := &operate.Console{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ(), Open: openStores,
	}
	if code, known := operate.Run(ctx, console, os.Args[1:]); known {
		os.Exit(code)
	}
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
	if s.PrintDemo {
		if err := s.NewPassword(); err != nil {
			_, _ = fmt.Fprintln(stderr, "ingest:", err)
			return 1
		}
		printCredentials(stdout, s.Demo)
		return 0
	}
	log, closeLog, err := telemetry.NewLogger(stderr, s.SentryDSN)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "ingest: settings:\n%v\n", err)
		return 2
	}
	defer closeLog()
	telemetry.RedirectRedisLog(log)
	again := func() (*settings.Settings, error) { return settings.Load(args, os.Environ()) }
	if err := serve(ctx, s, log, stdout, again); err != nil {
		_, _ = fmt.Fprintln(stderr, "ingest:", err)
		return 1
	}
	return 0
}

// serve runs the server until ctx ends. Addresses are bound first: what is
// generated or opened after them is not wasted on a port that is taken.
func serve(
	ctx context.Context, s *settings.Settings, log *slog.Logger, stdout io.Writer,
	again func() (*settings.Settings, error),
) error {
	listeners, err := server.Listen(ctx, s)
	if err != nil {
		return err
	}
	if err := s.Complete(listeners.Bound()); err != nil {
		return errors.Join(err, listeners.Close())
	}
	kept, err := open(ctx, s, log, listeners.Bound().API)
	if err != nil {
		return errors.Join(err, listeners.Close())
	}
	srv, err := server.New(ctx, server.Config{
		Settings: s, Listeners: listeners, Store: kept.store, Queue: kept.queue, Intake: kept.intake,
		Backlog: kept.backlog, Log: log,
	})
	if err != nil {
		return errors.Join(err, kept.close())
	}
	banner(stdout, s, srv.Addresses())
	stop := onHangup(func() {
		next, err := again()
		if err == nil {
			err = srv.Reload(ctx, next)
		}
		if err != nil {
			log.ErrorContext(ctx, "settings not reloaded, the old ones stay", "error", err)
		}
	})
	defer stop()
	return errors.Join(srv.Run(ctx), kept.close())
}

// onHangup calls reload at every SIGHUP, one after the other.
func onHangup(reload func()) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range signals {
			reload()
		}
	}()
	return func() { signal.Stop(signals); close(signals); <-done }
}
