// Package server listens, and routes requests through the gates to the handlers.
// It takes everything down again without losing anything.
package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/ingest/delivery"
	"github.com/opsmantik/sallyport/examples/ingest/demo"
	"github.com/opsmantik/sallyport/examples/ingest/gates"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/examples/ingest/telemetry"
	"github.com/opsmantik/sallyport/examples/ingest/trail"
	"github.com/opsmantik/sallyport/examples/ingest/watchtower"
)

// drainLimit is how long requests under way may take at shutdown.
const drainLimit = 10 * time.Second

// Config is what a server is made from. All fields but Queue are required. The store
// and the queue stay the caller's to close, after Run.
type Config struct {
	Settings  *settings.Settings // completed
	Listeners *Listeners         // closed by the server
	Store     store.Store
	Queue     store.Queue // nil: events are stored before they are acknowledged
	// Intake has events delivered from elsewhere, in place of a Queue.
	Intake store.Intake
	// Backlog is how long what waits may take to be settled, before senders are
	// turned away. 0 means as much as the queue takes.
	Backlog time.Duration
	Log     *slog.Logger
}

// Server is one running instance.
type Server struct {
	cfg        Config
	metrics    *telemetry.Metrics
	journal    *telemetry.Journal
	tower      *watchtower.Tower
	memory     *gates.Memory
	dispatcher *delivery.Dispatcher // nil without a queue
	trail      *trail.Trail
	servers    []bound
	current    atomic.Pointer[generation]
	reloading  sync.Mutex
	draining   atomic.Bool
}

// bound is an HTTP server and where it listens.
type bound struct {
	*http.Server
	net.Listener
}

// New builds the gates and the routes. When it fails, nothing is left open.
func New(ctx context.Context, cfg Config) (*Server, error) {
	srv := &Server{cfg: cfg, metrics: telemetry.NewMetrics()}
	srv.journal = telemetry.NewJournal(cfg.Log, srv.metrics)
	if err := srv.open(ctx); err != nil {
		return nil, errors.Join(err, srv.close(), cfg.Listeners.Close())
	}
	return srv, nil
}

func (srv *Server) open(ctx context.Context) (err error) {
	s := srv.cfg.Settings
	if s.CORSReportOnly {
		srv.cfg.Log.WarnContext(ctx, "CORS_REPORT_ONLY: origins are reported and none is refused")
	}
	if err := srv.checkAudit(ctx); err != nil {
		return err
	}
	if srv.trail, err = trail.Open(ctx, srv.trailConfig()); err != nil {
		return err
	}
	if srv.memory, err = gates.OpenMemory(s, srv.cfg.Log); err != nil {
		return err
	}
	if queue := srv.cfg.Queue; queue != nil {
		srv.dispatcher = delivery.New(delivery.Dispatcher{
			Queue: queue, URL: s.WorkerURL, Signer: srv, Log: srv.cfg.Log,
			Backlog: srv.cfg.Backlog,
		})
		srv.metrics.WatchQueue(queue)
	}
	if watched, ok := srv.cfg.Store.(store.Watched); ok {
		srv.metrics.WatchTransactions(watched)
	}
	if err := srv.openTower(); err != nil {
		return err
	}
	first, err := srv.generation(s)
	if err != nil {
		return err
	}
	srv.use(first)
	srv.serve(srv.cfg.Listeners.API, srv)
	if l := srv.cfg.Listeners.Metrics; l != nil {
		srv.serve(l, srv.metrics.Everywhere())
	}
	return srv.openPage()
}

// openTower watches the decisions of all gates. Sites that come with a reload are
// watched together until the next start.
func (srv *Server) openTower() (err error) {
	s := srv.cfg.Settings
	sites := make([]string, len(s.Sites))
	for i, site := range s.Sites {
		sites[i] = site.ID
	}
	srv.tower, err = watchtower.New(watchtower.Config{
		Sites: sites, Dir: s.DataDir, Queue: srv.cfg.Queue, Merger: srv.memory.Merger(),
		Record:  srv.cfg.Store.Record,
		OnEvent: srv.metrics.Count, Log: srv.cfg.Log,
	})
	if err != nil {
		return err
	}
	srv.journal.Watch = srv.tower.Observe
	srv.metrics.WatchTower(srv.tower.Health)
	return nil
}

// checkAudit refuses to serve on top of a record that was tampered with. The
// head goes to the log, and with it off this machine wherever logs are shipped.
func (srv *Server) checkAudit(ctx context.Context) error {
	head, err := srv.cfg.Store.VerifyAudit(ctx)
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	srv.publish(ctx, "audit log verified", head)
	return nil
}

// trailConfig: the checkpoint goes to the server's log, and with it off this machine
// wherever logs are shipped.
func (srv *Server) trailConfig() trail.Config {
	s := srv.cfg.Settings
	name := "ingest.invalid/audit" // where no public name is known
	if len(s.PublicOrigins) > 0 {
		if u, err := url.Parse(s.PublicOrigins[0]); err == nil && s.Demo == nil {
			name = u.Host + "/api/audit"
		}
	}
	return trail.Config{
		Log: srv.cfg.Store.AuditLog(), Calls: srv.cfg.Store, Logger: srv.cfg.Log,
		KeyFile: cmp.Or(s.AuditKeyFile, filepath.Join(s.DataDir, "audit.key")),
		Dir:     filepath.Join(s.DataDir, "published"), Name: name,
		OnPublish: func(ctx context.Context, checkpoint []byte) error {
			srv.cfg.Log.InfoContext(ctx, "audit log checkpoint", "checkpoint", string(checkpoint))
			return nil
		},
	}
}

// headInterval is how often the end of the audit log goes to the server's log.
const headInterval = 5 * time.Minute

// publishHeads sends the end of the audit log off this machine with the log lines:
// whoever rewrites the whole log is found by comparing it with them.
func (srv *Server) publishHeads(ctx context.Context) {
	ticker := time.NewTicker(headInterval)
	defer ticker.Stop()
	last := int64(-1)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		head, err := srv.cfg.Store.AuditHead(ctx)
		if err != nil {
			srv.cfg.Log.ErrorContext(ctx, "audit head not read", "error", err)
		} else if head.Size() != last {
			srv.publish(ctx, "audit log head", head)
			last = head.Size()
		}
	}
}

func (srv *Server) publish(ctx context.Context, message string, head audit.Head) {
	tree := head.Tree()
	srv.cfg.Log.InfoContext(ctx, message, "entries", tree.N, "root", tree.Hash.String())
}

// openPage serves the demo page where there is one.
func (srv *Server) openPage() error {
	s := srv.cfg.Settings
	if s.Demo == nil {
		return nil
	}
	handler, err := demo.Handler(demo.Page{
		SiteID: s.Demo.Site.ID, Secret: s.Demo.Site.Secret, API: srv.Addresses().API + "/api/sync",
	})
	if err != nil {
		return err
	}
	srv.serve(srv.cfg.Listeners.Page, handler)
	return nil
}

// serve notes that handler will answer at l.
func (srv *Server) serve(l net.Listener, handler http.Handler) {
	srv.servers = append(srv.servers, bound{srv.httpServer(handler), l})
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
		ErrorLog:          slog.NewLogLogger(telemetry.Bounded(srv.cfg.Log.Handler(), 5), slog.LevelWarn),
	}
}

// Run serves until ctx ends, then stops in the order that loses nothing: no
// new deliveries, no new requests, no gates.
func (srv *Server) Run(ctx context.Context) error {
	failed := make(chan error, len(srv.servers))
	for i, server := range srv.servers {
		go func() { failed <- srv.run(server, i == 0) }()
	}
	delivering, stopDelivering := context.WithCancel(context.WithoutCancel(ctx))
	defer stopDelivering()
	var background sync.WaitGroup
	if srv.dispatcher != nil {
		background.Go(func() { srv.dispatcher.Run(delivering) })
	}
	background.Go(func() { srv.publishHeads(delivering) })
	background.Go(func() { srv.trail.Run(delivering) })
	background.Go(func() { srv.tower.Run(delivering) })

	var err error
	select {
	case <-ctx.Done():
		srv.announce(failed)
	case err = <-failed:
	}
	stopDelivering()
	srv.drain()
	background.Wait()
	return errors.Join(err, srv.close())
}

// announce says on readyz that this instance will stop, and serves on for
// DRAIN: a balancer that asks sends new connections elsewhere by then, so that a
// rolling restart refuses nothing.
func (srv *Server) announce(failed <-chan error) {
	srv.draining.Store(true)
	select {
	case <-time.After(srv.cfg.Settings.Drain):
	case <-failed:
	}
}

// run serves until the server is shut down. Only the API has TLS.
func (srv *Server) run(b bound, api bool) (err error) {
	if api && srv.cfg.Settings.TLSCertFile != "" {
		b.TLSConfig.GetCertificate = srv.certificate
		err = b.ServeTLS(b.Listener, "", "")
	} else {
		err = b.Serve(b.Listener)
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
	for _, server := range srv.servers {
		if err := server.Shutdown(ctx); err != nil {
			srv.cfg.Log.Warn("requests cut off at shutdown", "error", err)
			_ = server.Server.Close()
		}
	}
}

// close releases what open has acquired.
func (srv *Server) close() error {
	if srv.memory == nil {
		return nil
	}
	return srv.memory.Close()
}

// Addresses are the URLs that the server answers at.
type Addresses struct{ API, Pages, Demo, Metrics string }

// Addresses tells where the server listens.
func (srv *Server) Addresses() Addresses {
	scheme, l := "http://", srv.cfg.Listeners
	if srv.cfg.Settings.TLSCertFile != "" {
		scheme = "https://"
	}
	at := Addresses{API: scheme + l.API.Addr().String()}
	if origins := srv.cfg.Settings.PublicOrigins; len(origins) > 0 {
		at.Pages = origins[len(origins)-1] // by name, where there are two: security keys need one
	}
	if l.Page != nil {
		at.Demo = "http://" + l.Page.Addr().String()
	}
	if l.Metrics != nil {
		at.Metrics = "http://" + l.Metrics.Addr().String()
	}
	return at
}
