package server

import (
	"errors"
	"net/http"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/intake"
	"github.com/opsmantik/sallyport/examples/ingest/store"
)

// Gated is the whole server as one handler.
func (srv *Server) Gated() http.Handler { return srv }

// Ungated is POST /api/sync with every gate taken away: the same decoder,
// queue and store.
func (srv *Server) Ungated() http.Handler {
	bare := *srv.current.Load().intake
	pass := func(http.ResponseWriter, *http.Request, intake.Caller) bool { return true }
	bare.SyncLimit, bare.CallLimit = pass, pass
	bare.OriginAllowed = func(*http.Request, string) bool { return true }
	bare.Scrub = func(*event.Received) {}
	return http.HandlerFunc(bare.Sync)
}

// Served are the patterns of all routes.
func (srv *Server) Served() []string { return srv.current.Load().served }

// Stop closes a server that never ran.
func (srv *Server) Stop() error { return errors.Join(srv.close(), srv.cfg.Listeners.Close()) }

// Store is where the server keeps things.
func (srv *Server) Store() store.Store { return srv.cfg.Store }
