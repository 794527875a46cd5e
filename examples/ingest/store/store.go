// Package store is the vocabulary of storage: what the handlers ask for, what an
// action on a call means and leaves on record, and where the queue ends. Handlers
// take these types; sqlite implements all of them, and storetest says whether another
// implementation does.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/tenancy"
)

// Store is everything that is kept for good. All methods are safe for concurrent use.
// What waits for delivery is in a [Queue], where there is one: without one, events go
// into the store before their sender is answered.
//
// What reads or changes a site's rows for a person takes the scope of that
// person's grant, and nothing that a request could name: the proof reaches the
// row. A scope that has ended is an error of package tenancy.
//
// A nil error means durable. An error means that nothing of the call was kept,
// with one exception: where the outcome cannot be known, because a commit
// failed half way, the error says so and nobody tries again blindly.
type Store interface {
	Events
	Calls
	Visits
	Factors
	SecurityKeys
	// APIKeys returns the keys of machine clients.
	APIKeys() APIKeys
	// Ready reports whether the store can keep something, by keeping something.
	Ready(context.Context) error
	// Record appends to the audit log what happened outside the store.
	Record(context.Context, audit.Record) error
	// AuditLog is the log of all sites, to publish and to search.
	AuditLog() audit.Store
	// AuditHead returns the end of the audit log.
	AuditHead(context.Context) (audit.Head, error)
	// VerifyAudit checks the audit log against the head beside it, and the calls
	// and their actions against the log. It returns that head.
	VerifyAudit(context.Context) (audit.Head, error)
	// Close finishes the work already accepted. Later work gets ErrClosed.
	Close() error
}

// Events keeps what was delivered or, without a queue, received.
type Events interface {
	// Store keeps a batch: all of it or, on an error, nothing. Events already kept
	// are counted as duplicates, so that delivering twice is harmless.
	// ErrUnstorable means that no try will store the batch.
	Store(ctx context.Context, batch []event.Received) (Stored, error)
	// Events lists a site's newest events.
	Events(ctx context.Context, scope tenancy.Scope, limit int) ([]EventRow, error)
}

// Calls keeps calls and what people did to them.
type Calls interface {
	// Calls lists a site's newest calls.
	Calls(ctx context.Context, scope tenancy.Scope, limit int) ([]CallRow, error)
	// CallSite returns the site of a call, or ErrNoCall.
	CallSite(ctx context.Context, id string) (site string, err error)
	// Act changes a call and records who did it, in one transaction: neither
	// happens without the other. It returns the call's new status.
	Act(ctx context.Context, scope tenancy.Scope, act Act) (status string, err error)
	// AuditOf lists a site's newest records.
	AuditOf(ctx context.Context, scope tenancy.Scope, limit int) ([]AuditRow, error)
}

// Watched is a store that notices transactions that stay open. They keep it from
// tidying up after everybody else.
type Watched interface {
	// OpenTransaction is how long the oldest one has been open, and whether that is too
	// long.
	OpenTransaction() (oldest time.Duration, tooLong bool)
}

var (
	// ErrClosed is returned for work that arrives after Close.
	ErrClosed = errors.New("store: closed")
	// ErrUnstorable means that the batch holds an item that no try will store.
	ErrUnstorable = errors.New("store: item cannot be stored")
)

// Stored says what became of a batch.
type Stored struct {
	New        int
	Duplicates int
	// Conflicts are calls that were not kept, because another call was accepted
	// under their event id.
	Conflicts int
}
