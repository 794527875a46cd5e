package server

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"

	"github.com/opsmantik/sallyport/examples/ingest/gates"
	"github.com/opsmantik/sallyport/examples/ingest/intake"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/telemetry"
	"github.com/opsmantik/sallyport/hmacsig"
)

// generation is everything that follows from the settings as they were read once.
// It never changes; reading them again makes the next one.
type generation struct {
	*Server
	log      *slog.Logger // what requests can cause, and so cannot flood
	settings *settings.Settings
	gates    *gates.Gates
	intake   *intake.Intake
	served   []string // the pattern of every route
	handler  http.Handler
	signer   *hmacsig.Signer
	cert     *tls.Certificate // nil without TLS
}

// linesPerSecond is how many lines the handlers may write: with a full disk, every
// request would be one.
const linesPerSecond = 20

func (srv *Server) generation(s *settings.Settings) (*generation, error) {
	g := &generation{Server: srv, settings: s}
	g.log = slog.New(telemetry.Bounded(srv.cfg.Log.Handler(), linesPerSecond))
	cfg := gates.Config{
		Settings: s, Log: srv.cfg.Log, OnEvent: srv.journal.OnEvent,
		SiteOfCall: srv.cfg.Store.CallSite, Memory: srv.memory,
		APIKeys: srv.cfg.Store.APIKeys(), Record: srv.cfg.Store.Record,
	}
	var err error
	if g.gates, err = gates.New(cfg); err != nil {
		return nil, err
	}
	if g.signer, err = gates.Signer(cfg); err != nil {
		return nil, err
	}
	if s.TLSCertFile != "" {
		pair, err := tls.LoadX509KeyPair(s.TLSCertFile, s.TLSKeyFile)
		if err != nil {
			return nil, err
		}
		g.cert = &pair
	}
	g.handler, err = g.routes()
	return g, err
}

// use makes g the current generation. Requests under way end in their own.
func (srv *Server) use(g *generation) {
	sites := make([]string, len(g.settings.Sites))
	for i, site := range g.settings.Sites {
		sites[i] = site.ID
	}
	srv.metrics.Sites(sites)
	srv.current.Store(g)
}

// ServeHTTP answers by the current generation.
func (srv *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	srv.current.Load().handler.ServeHTTP(w, r)
}

// Sign signs a delivery by the current generation.
func (srv *Server) Sign(r *http.Request) error { return srv.current.Load().signer.Sign(r) }

func (srv *Server) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cert := srv.current.Load().cert; cert != nil {
		return cert, nil
	}
	return nil, errors.New("server: no certificate")
}
