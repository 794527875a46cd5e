// Package intake answers the two endpoints that trackers post to. It runs
// behind the gates: by now the origin is on the platform's list, the address
// is within its limit and, for call events, the signature is verified.
package intake

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/examples/ingest/store"
)

// keepLimit is how long a client waits for a busy disk before it is told to
// come back.
const keepLimit = 10 * time.Second

// Site is what intake needs to know of a tenant.
type Site struct {
	ID            string
	ProxyHosts    map[string]bool // hosts of the site's own origins
	RatePerMinute int
}

// Intake holds what the handlers share. All fields are required.
type Intake struct {
	Site func(id string) (Site, bool)
	// OriginAllowed says whether the page that sends r may report for the site.
	OriginAllowed func(r *http.Request, site string) bool
	// SyncLimit and CallLimit count the request, or answer it and return false.
	SyncLimit, CallLimit func(http.ResponseWriter, *http.Request, Caller) bool
	// Visit returns the visit that an event of this session belongs to, or "".
	Visit func(ctx context.Context, site, session string) string
	// Scrub masks what policy forbids to store.
	Scrub func(*event.Received)
	// Keep returns once the events are durable: all of them or, on an error, none.
	Keep func(context.Context, []event.Received) error
	Log  *slog.Logger
}

// Caller is whose budget a request is counted against.
type Caller struct {
	Site      Site
	ProxyHost string // of a first-party proxy; empty for browsers
}

// caller resolves the site and checks that the page, or the site's own proxy,
// may speak for it. The answer is written when it may not.
func (in *Intake) caller(w http.ResponseWriter, r *http.Request, siteID string) (Caller, bool) {
	site, ok := in.Site(siteID)
	if !ok {
		reply.Problem(w, http.StatusBadRequest, reply.CodeSiteNotFound, "There is no such site")
		return Caller{}, false
	}
	if r.Header.Get("Origin") == "" {
		return Caller{Site: site, ProxyHost: proxyHost(r, site)}, true
	}
	if !in.OriginAllowed(r, site.ID) {
		reply.Problem(w, http.StatusForbidden, "origin_not_listed", "The origin is not one of the site's")
		return Caller{}, false
	}
	return Caller{Site: site}, true
}

// proxyHost names the first-party proxy that a request claims to come from, if
// the site has such a host. The claim proves nothing: it selects a budget that
// is still counted per client address.
func proxyHost(r *http.Request, site Site) string {
	host := r.Header.Get("X-Ops-Proxy-Host")
	if r.Header.Get("X-Ops-Proxy") != "1" || !site.ProxyHosts[host] {
		return ""
	}
	return host
}

// refuse answers a body that breaks the contract.
func refuse(w http.ResponseWriter, err error) {
	if refused, ok := errors.AsType[*event.Error](err); ok {
		reply.Problem(w, refused.Status, refused.Code, "The body does not match the contract")
		return
	}
	reply.Problem(w, http.StatusBadRequest, event.CodeInvalidJSON, "The body is not JSON")
}

// accept stores the events durably, and only then says so.
func (in *Intake) accept(
	w http.ResponseWriter, r *http.Request, received []event.Received, rejected []event.Rejected,
) {
	id := newID()
	for i := range received {
		received[i].ID = id
		if i > 0 {
			received[i].ID = newID()
		}
		in.Scrub(&received[i])
		received[i].Seal()
	}
	// The whole body is here: a client that does not wait for the answer, as
	// some proxies do not, has still sent its events.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), keepLimit)
	defer cancel()
	err := in.Keep(ctx, received)
	if errors.Is(err, store.ErrEventID) {
		reply.Problem(w, http.StatusConflict, codeEventID, "The event id was used for another call")
		return
	}
	if overload, ok := errors.AsType[*store.Overload](err); ok {
		reply.Overloaded(w, overload.RetryAfter)
		return
	}
	if err != nil {
		in.Log.ErrorContext(r.Context(), "events not kept", "error", err)
		reply.Unavailable(w, reply.CodeQueueUnavailable, "The events were not stored; send them again")
		return
	}
	reply.JSON(w, http.StatusAccepted, accepted{true, "queued", id, len(received), rejected})
}

// codeEventID: 409. The event_id of a call was accepted before, with other content.
const codeEventID = "event_id_conflict"

// accepted is the body of a 202.
type accepted struct {
	OK       bool   `json:"ok"`
	Status   string `json:"status"`
	IngestID string `json:"ingest_id"`
	Count    int    `json:"count"`
	// Rejected is absent when there is nothing to say.
	Rejected []event.Rejected `json:"rejected,omitzero"`
}

// newID returns 130 random bits. An id is a name, not a secret.
func newID() string { return rand.Text() }

// receipt is the server's clock, to the millisecond that the store keeps.
func receipt() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
