package postgres

import (
	"cmp"
	"context"
	_ "embed" // statements
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"

	"github.com/opsmantik/sallyport/examples/ingest/event"
)

//go:embed events.sql
var insertEvents string

//go:embed calls.sql
var insertCalls string

// plan is what one transaction stores.
type plan struct {
	jobs   []*job
	events []*row
	calls  []*row
}

// row is one event or call, and what became of it.
type row struct {
	job      *job
	received *event.Received
	from, to int64 // of the repeats that it stands for, Unix milliseconds
	outcome  outcome
}

type outcome uint8

const (
	duplicate outcome = iota
	isNew
	conflict
)

func newPlan(jobs []*job) *plan {
	p := &plan{jobs: jobs}
	for _, j := range jobs {
		for i := range j.batch {
			r := &row{job: j, received: &j.batch[i]}
			if r.received.Call != nil {
				p.calls = append(p.calls, r)
				continue
			}
			r.from = r.received.At.UnixMilli()
			r.to = r.from
			p.events = append(p.events, r)
		}
	}
	return p
}

// run executes the plan. Rows are sorted by their keys, events come before calls, and an
// identity that comes up in a later round is locked since the first: so no two plans
// wait for each other.
func (p *plan) run(ctx context.Context, tx pgx.Tx) error {
	for _, round := range rounds(p.events) {
		if err := storeEvents(ctx, tx, round); err != nil {
			return err
		}
	}
	if len(p.calls) == 0 {
		return nil
	}
	return storeCalls(ctx, tx, p.calls)
}

// report counts for each job what became of its rows.
func (p *plan) report() {
	for _, r := range slices.Concat(p.events, p.calls) {
		switch r.outcome {
		case isNew:
			r.job.stored.New++
		case conflict:
			r.job.stored.Conflicts++
		case duplicate:
			r.job.stored.Duplicates++
		}
	}
}

// key is what a delivery repeats word for word.
type key struct {
	site, id string
	at       int64
}

// rounds folds repeats within the plan, as the database would one after the other, and
// returns what is left in rounds of which each has an identity once at most: a statement
// cannot look at a row that it has just written. There is nearly always one round.
func rounds(events []*row) (all [][]*row) {
	seen := map[key]bool{}
	same := map[[16]byte][]*row{}
	var first []*row
	for _, r := range events {
		k := key{r.received.Site, r.received.ID, r.from}
		switch {
		case seen[k]: // delivered twice
		case len(r.received.Identity) == 0: // nobody's: never the same as another one
			first = append(first, r)
		default:
			id := identity(r.received)
			same[id] = append(same[id], r)
		}
		seen[k] = true
	}
	all = [][]*row{first}
	for _, each := range same {
		for i, r := range fold(each) {
			if i == len(all) {
				all = append(all, nil)
			}
			all[i] = append(all[i], r)
		}
	}
	return slices.DeleteFunc(all, func(round []*row) bool { return len(round) == 0 })
}

// fold returns, of rows with one identity, those that are no repeats, each with the
// interval that its repeats extend.
func fold(same []*row) []*row {
	if len(same) == 1 {
		return same
	}
	slices.SortStableFunc(same, func(a, b *row) int { return cmp.Compare(a.from, b.from) })
	kept := same[:1]
	for _, r := range same[1:] {
		last := kept[len(kept)-1]
		if r.from-last.to <= r.received.Fold {
			last.to = r.from
			continue
		}
		kept = append(kept, r)
	}
	return kept
}

// identity is half of the digest: 128 bits are enough to tell a site's events apart.
func identity(r *event.Received) [16]byte {
	var id [16]byte
	copy(id[:], r.Identity)
	return id
}

// storeEvents stores one round in one statement.
func storeEvents(ctx context.Context, tx pgx.Tx, round []*row) error {
	var c struct {
		identity                                          []*[16]byte
		from, to, fold                                    []int64
		site, id, session, visit, month, category, action []string
		label, url, referrer, meta, stamp                 []string
		value                                             []*string
		at                                                []time.Time
	}
	byID := make(map[key]*row, len(round))
	for _, r := range round {
		rec, e := r.received, r.received.Event
		byID[key{rec.Site, rec.ID, rec.At.UnixMilli()}] = r
		var id *[16]byte
		if len(rec.Identity) > 0 {
			half := identity(rec)
			id = &half
		}
		c.identity = append(c.identity, id)
		c.from, c.to, c.fold = append(c.from, r.from), append(c.to, r.to), append(c.fold, rec.Fold)
		c.site, c.id, c.at = append(c.site, rec.Site), append(c.id, rec.ID), append(c.at, rec.At)
		c.session, c.visit = append(c.session, e.Session), append(c.visit, rec.Visit)
		c.month, c.category = append(c.month, e.Month), append(c.category, e.Category)
		c.action, c.label = append(c.action, e.Action), append(c.label, e.Label)
		c.value, c.url = append(c.value, nullable(e.Value)), append(c.url, e.URL)
		c.referrer, c.meta = append(c.referrer, e.Referrer), append(c.meta, object(e.Meta))
		c.stamp = append(c.stamp, rec.Stamp)
	}
	rows, err := tx.Query(ctx, insertEvents, c.identity, c.from, c.to, c.fold, c.site, c.at, c.id,
		c.session, c.visit, c.month, c.category, c.action, c.label, c.value, c.url, c.referrer, c.meta,
		c.stamp)
	if err != nil {
		return fmt.Errorf("postgres: store: %w", err)
	}
	var k key
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&k.site, &at, &k.id}, func() error {
		k.at = at.UnixMilli()
		if r := byID[k]; r != nil {
			r.outcome = isNew
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("postgres: store: %w", err)
	}
	return nil
}

// object is meta as it is stored: always an object.
func object(value []byte) string {
	if len(value) == 0 || string(value) == "null" {
		return "{}"
	}
	return string(value)
}

func nullable(value []byte) *string {
	if len(value) == 0 || string(value) == "null" {
		return nil
	}
	text := string(value)
	return &text
}

// storeCalls stores the calls, and tells those that were accepted before from those
// whose event id another call has.
func storeCalls(ctx context.Context, tx pgx.Tx, calls []*row) error {
	slices.SortStableFunc(calls, func(a, b *row) int {
		return cmp.Or(cmp.Compare(a.received.Site, b.received.Site),
			cmp.Compare(a.received.Call.EventID, b.received.Call.EventID))
	})
	var site, id, eventID, phone, fingerprint, action, url, stamp, detail []string
	var digest [][]byte
	var at []time.Time
	for _, r := range calls {
		rec, c := r.received, r.received.Call
		text, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("postgres: encode call: %w", err)
		}
		site, id, at = append(site, rec.Site), append(id, rec.ID), append(at, rec.At)
		eventID, digest = append(eventID, c.EventID), append(digest, rec.Identity)
		phone, fingerprint = append(phone, c.Phone), append(fingerprint, c.Fingerprint)
		action, url = append(action, c.Action), append(url, c.URL)
		stamp, detail = append(stamp, c.Stamp), append(detail, string(text))
	}
	rows, err := tx.Query(ctx, insertCalls, site, id, eventID, digest, phone, fingerprint, action, url,
		stamp, detail, at)
	if err != nil {
		return fmt.Errorf("postgres: store calls: %w", err)
	}
	added, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("postgres: store calls: %w", err)
	}
	left := map[string]bool{}
	for _, id := range added {
		left[id] = true
	}
	for _, r := range calls {
		if left[r.received.ID] {
			r.outcome = isNew
			delete(left, r.received.ID) // what has its id again is a repeat of it
		}
	}
	if len(added) == len(calls) {
		return nil
	}
	return findConflicts(ctx, tx, calls, site, eventID)
}

// findConflicts compares the calls that were not added with those that were there.
func findConflicts(ctx context.Context, tx pgx.Tx, calls []*row, site, eventID []string) error {
	const query = `SELECT c.site_id, c.event_id, c.digest FROM ingest.calls c
		JOIN (SELECT DISTINCT s, e FROM unnest($1::text[], $2::text[]) AS asked (s, e)) asked
		ON c.site_id = s AND c.event_id = e`
	rows, err := tx.Query(ctx, query, site, eventID)
	if err != nil {
		return fmt.Errorf("postgres: compare calls: %w", err)
	}
	kept := map[[2]string][]byte{}
	var name [2]string
	var digest []byte
	_, err = pgx.ForEachRow(rows, []any{&name[0], &name[1], &digest}, func() error {
		kept[name] = slices.Clone(digest)
		return nil
	})
	if err != nil {
		return fmt.Errorf("postgres: compare calls: %w", err)
	}
	for _, r := range calls {
		there := kept[[2]string{r.received.Site, r.received.Call.EventID}]
		if r.outcome == duplicate && len(there) > 0 && !slices.Equal(there, r.received.Identity) {
			r.outcome = conflict
		}
	}
	return nil
}
