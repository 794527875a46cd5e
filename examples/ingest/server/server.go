// Package server composes the gates, the handlers and the stores into one
// process, and takes it down again without losing anything.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/opsmantik/sallyport/examples/ingest/delivery"
	"github.com/opsmantik/sallyport/examples/ingest/demo"
	"github.com/opsmantik/sallyport/examples/ingest/intake"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
	"github.com/opsmantik/sallyport/hmacsig/qstash"
)

// drainLimit is how long requests under way may take at shutdown.
const drainLimit = 10 * time.Second

// Server is one running instance.
type Server struct {
	settings   *settings.Settings
	log        *slog.Logger
	db         *sqlite.DB
	dispatcher *delivery.Dispatcher
	intake     *intake.Intake
	api        listening
	demo       *listening // demo mode only
	closers    []func() error
}

// listening is an HTTP server and where it listens.
type listening struct {
	*http.Server
	net.Listener
}

// Open binds the addresses, opens the stores and builds the gates. The error
// joins everything that went wrong; nothing is left open then.
func Open(
	ctx context.Context, s *settings.Settings, log *slog.Logger, d sqlite.Durability,
) (*Server, error) {
	srv := &Server{settings: s, log: log}
	if err := srv.open(ctx, d); err != nil {
		return nil, errors.Join(err, srv.close())
	}
	return srv, nil
}

func (srv *Server) open(ctx context.Context, durability sqlite.Durability) error {
	s := srv.settings
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.ListenAddr)
	if err != nil {
		return err
	}
	srv.closers = append(srv.closers, listener.Close)
	if s.Demo != nil {
		if err := srv.openDemo(ctx, listener.Addr()); err != nil {
			return err
		}
	}
	srv.db, err = sqlite.Open(ctx, s.DataDir, durability)
	if err != nil {
		return err
	}
	srv.closers = append(srv.closers, srv.db.Close)
	if s.CORSReportOnly {
		srv.log.WarnContext(ctx, "CORS_REPORT_ONLY: origins are reported and none is refused")
	}
	if err := srv.checkAudit(ctx); err != nil {
		return err
	}
	if err := srv.openDispatcher(srv.workerURL(listener.Addr())); err != nil {
		return err
	}
	handler, err := srv.routes(origins(s, listener.Addr()), srv.dispatcher.URL)
	if err != nil {
		return err
	}
	srv.api = listening{srv.httpServer(handler), listener}
	return nil
}

// checkAudit refuses to serve on top of a record that was tampered with. The
// head goes to the log, and with it off this machine wherever logs are shipped.
func (srv *Server) checkAudit(ctx context.Context) error {
	head, err := srv.db.VerifyAudit(ctx)
	if err != nil {
		return fmt.Errorf("audit log in %s: %w", srv.settings.DataDir, err)
	}
	tree := head.Tree()
	srv.log.InfoContext(ctx, "audit log verified", "entries", tree.N, "root", tree.Hash.String())
	return nil
}

// openDispatcher prepares deliveries to our own worker, signed as QStash signs.
func (srv *Server) openDispatcher(workerURL string) error {
	current, _, err := secrets(srv.settings.CurrentKey, srv.settings.NextKey)
	if err != nil {
		return fmt.Errorf("QSTASH_CURRENT_SIGNING_KEY: %w", err)
	}
	signer, err := qstash.NewSigner(qstash.SignerConfig{
		URL: workerURL, Secret: current, MaxBodyBytes: delivery.MaxBody,
	})
	if err != nil {
		return err
	}
	srv.dispatcher = delivery.New(delivery.Dispatcher{
		DB: srv.db, URL: workerURL, Signer: signer, Log: srv.log,
	})
	return nil
}

// openDemo serves the demo page on the next port, or on any free one, and
// lists its origin as the only one.
func (srv *Server) openDemo(ctx context.Context, api net.Addr) error {
	host, port, err := net.SplitHostPort(srv.settings.ListenAddr)
	if err != nil {
		return err
	}
	next := "0"
	if n, err := strconv.Atoi(port); err == nil && n > 0 && n < 65535 {
		next = strconv.Itoa(n + 1)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, next))
	if err != nil {
		listener, err = config.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return err
	}
	srv.closers = append(srv.closers, listener.Close)
	site := &srv.settings.Sites[0]
	site.Origins = []string{"http://" + listener.Addr().String()}
	site.RatePerMinute = max(site.RatePerMinute, srv.settings.RatePerMinute)
	srv.settings.AllowedOrigins = site.Origins
	handler, err := demo.Handler(demo.Page{
		SiteID: site.ID, Secret: site.Secret, API: "http://" + api.String() + "/api/sync",
	})
	if err != nil {
		return err
	}
	srv.demo = &listening{srv.httpServer(handler), listener}
	return nil
}

func (srv *Server) workerURL(api net.Addr) string {
	if srv.settings.WorkerURL != "" {
		return srv.settings.WorkerURL
	}
	// The derived address has to be one that we can reach ourselves on.
	host, port, _ := net.SplitHostPort(api.String())
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + "/api/sync/worker"
}

func (srv *Server) httpServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    32 << 10,
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12},
		ErrorLog:          slog.NewLogLogger(srv.log.Handler(), slog.LevelWarn),
	}
}

// Run serves until ctx ends, then stops in the order that loses nothing: no
// new deliveries, no new requests, no open database.
func (srv *Server) Run(ctx context.Context) error {
	failed := make(chan error, 2)
	go func() { failed <- srv.serve(srv.api, srv.settings.TLSCertFile, srv.settings.TLSKeyFile) }()
	if srv.demo != nil {
		go func() { failed <- srv.serve(*srv.demo, "", "") }()
	}
	delivering, stopDelivering := context.WithCancel(context.WithoutCancel(ctx))
	defer stopDelivering()
	var dispatcher sync.WaitGroup
	dispatcher.Go(func() { srv.dispatcher.Run(delivering) })

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	stopDelivering()
	srv.drain()
	dispatcher.Wait()
	return errors.Join(err, srv.close())
}

func (srv *Server) serve(l listening, cert, key string) error {
	var err error
	if cert != "" {
		err = l.ServeTLS(l.Listener, cert, key)
	} else {
		err = l.Serve(l.Listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// drain stops listening and waits for requests under way. One that takes too
// long is cut off, and has then not been acknowledged.
func (srv *Server) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), drainLimit)
	defer cancel()
	for _, server := range []*listening{&srv.api, srv.demo} {
		if server == nil {
			continue
		}
		if err := server.Shutdown(ctx); err != nil {
			srv.log.Warn("requests cut off at shutdown", "error", err)
			_ = server.Server.Close()
		}
	}
}

// close releases what open has acquired, last first.
func (srv *Server) close() error {
	var errs []error
	for i := len(srv.closers) - 1; i >= 0; i-- {
		if err := srv.closers[i](); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	srv.closers = nil
	return errors.Join(errs...)
}

// origins are where browsers reach this server itself.
func origins(s *settings.Settings, api net.Addr) []string {
	var own []string
	if s.Demo != nil {
		_, port, _ := net.SplitHostPort(api.String())
		own = []string{"http://127.0.0.1:" + port, "http://localhost:" + port}
	}
	if s.WorkerURL != "" {
		if origin := originOf(s.WorkerURL); origin != "" {
			own = append(own, origin)
		}
	}
	return own
}

// Addresses are the URLs that the server answers at.
type Addresses struct{ API, Demo string }

// Addresses tells where the server listens.
func (srv *Server) Addresses() Addresses {
	scheme := "http://"
	if srv.settings.TLSCertFile != "" {
		scheme = "https://"
	}
	at := Addresses{API: scheme + srv.api.Listener.Addr().String()}
	if srv.demo != nil {
		at.Demo = "http://" + srv.demo.Listener.Addr().String()
	}
	return at
}
