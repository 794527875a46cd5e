// Package query finds records in an audit log and hands them to people and to other
// systems: pages with stable cursors, OCSF events for a SIEM, the quarterly review of
// who may do what.
//
// # Threat
//
// A log that nobody can search is not read, and what is exported for review leaves out
// what somebody did not want to be seen.
//
// # Guarantees
//
//   - A cursor is an index of the log, which only grows: pages neither repeat nor skip
//     a record, whatever is written meanwhile.
//   - Redacted and sealed fields stay that way in everything that is exported.
//
// # Not guaranteed
//
//   - A search reads the log from the cursor on, about 200,000 records a second, and a
//     log of files from the beginning of the file that the cursor is in. For large logs
//     in Postgres use the columns of audit.log.
//   - What is found is not verified: audit.Verify does that.
//
// # Place among the gates
//
// Behind the session and a role for auditors.
//
// # Memory
//
// A page.
//
// # Example
//
//	page, err := query.Find(ctx, log, query.Query{Tenant: "s1", Action: "calls.seal"})
//	for page.Next != "" { ... query.Query{..., After: page.Next} ... }
package query

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/opsmantik/sallyport/audit"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
	// maxScan is how many records one call reads at most.
	maxScan = 100_000
)

// ErrQuery is the error for a cursor or a limit that Find does not take.
var ErrQuery = errors.New("query: malformed cursor, or a limit beyond 1000")

// Query says which records to find. Empty parts match everything.
type Query struct {
	Tenant, Action string
	Actor, Target  string    // ids
	From, Until    time.Time // by the record's clock; From is included, Until is not
	Limit          int       // records of a page. Default 100; at most 1000
	After          string    // Next of the page before
}

// Row is a record and where it is.
type Row struct {
	Index  int64
	Entry  []byte // exactly what was hashed
	Record audit.Record
}

// Page is what one call found, oldest first. Next is empty at the end of the log; a page
// may be short, or empty, and still have one.
type Page struct {
	Rows []Row
	Next string
}

// Find returns the next page of what matches q.
func Find(ctx context.Context, log audit.Store, q Query) (Page, error) {
	from, err := q.cursor()
	if err != nil {
		return Page{}, err
	}
	if q.Limit == 0 {
		q.Limit = defaultLimit
	}
	head, err := log.Head(ctx)
	if err != nil {
		return Page{}, err
	}
	var page Page
	end := min(head.Size(), from+maxScan)
	at := from
	if at < end {
		for entry, err := range log.Entries(ctx, from) {
			if err != nil {
				return Page{}, err
			}
			r, err := audit.Parse(entry)
			if err == nil && q.matches(r) {
				page.Rows = append(page.Rows, Row{at, append([]byte(nil), entry...), r})
			}
			if at++; at >= end || len(page.Rows) == q.Limit {
				break
			}
		}
	}
	if at < head.Size() {
		page.Next = strconv.FormatInt(at, 10)
	}
	return page, nil
}

// cursor returns the index to begin at.
func (q Query) cursor() (int64, error) {
	if q.Limit < 0 || q.Limit > maxLimit {
		return 0, ErrQuery
	}
	if q.After == "" {
		return 0, nil
	}
	from, err := strconv.ParseInt(q.After, 10, 64)
	if err != nil || from < 0 || strconv.FormatInt(from, 10) != q.After || from > 1<<62 {
		return 0, ErrQuery
	}
	return from, nil
}

func (q Query) matches(r audit.Record) bool {
	return (q.Tenant == "" || q.Tenant == r.Tenant) &&
		(q.Action == "" || q.Action == r.Action) &&
		(q.Actor == "" || q.Actor == r.Actor.ID) &&
		(q.Target == "" || q.Target == r.Target.ID) &&
		(q.From.IsZero() || !r.Time.Before(q.From)) &&
		(q.Until.IsZero() || r.Time.Before(q.Until))
}

// each visits everything that matches, in one pass over the log as it is now.
func each(ctx context.Context, log audit.Store, q Query, visit func(Row) error) error {
	head, err := log.Head(ctx)
	if err != nil || head.Size() == 0 {
		return err
	}
	at := int64(0)
	for entry, err := range log.Entries(ctx, 0) {
		if err != nil {
			return err
		}
		r, err := audit.Parse(entry)
		if err == nil && q.matches(r) {
			if err := visit(Row{at, append([]byte(nil), entry...), r}); err != nil {
				return err
			}
		}
		if at++; at == head.Size() {
			return nil
		}
	}
	return nil
}
