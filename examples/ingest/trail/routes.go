package trail

import (
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/query"
	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
)

// listLimit bounds a list.
const listLimit = 500

// The permissions. Which role holds which is in package gates.
type (
	// View is to see what was done on a site, with proofs.
	View struct{}
	// ViewAll is to see the whole log: every site's records, and those of none, such as
	// sign-ins.
	ViewAll struct{}
)

// Permission names the permission.
func (View) Permission() string { return "audit:view" }

// Permission names the permission.
func (ViewAll) Permission() string { return "audit:view_all" }

// Site answers GET /api/audit?site_id=...: the site's newest records, as they were
// hashed. With one of action, actor, target, from, until, after (a cursor; "0" begins),
// limit and format it searches, oldest first.
func (t *Trail) Site(w http.ResponseWriter, r *http.Request, g tenancy.Grant[View]) {
	scope, values := g.Scope(), r.URL.Query()
	values.Del("site_id")
	if len(values) == 0 {
		rows, err := t.cfg.Calls.AuditOf(r.Context(), scope, listLimit)
		if err != nil {
			t.unavailable(w, r, err)
			return
		}
		reply.JSON(w, http.StatusOK, map[string]any{"entries": rows})
		return
	}
	if err := scope.Check(); err != nil {
		t.unavailable(w, r, err)
		return
	}
	t.search(w, r, query.Query{Tenant: scope.Site()})
}

// All answers GET /api/audit/log: as Site, for every site; tenant names one.
func (t *Trail) All(w http.ResponseWriter, r *http.Request, _ tenancy.Grant[ViewAll]) {
	t.search(w, r, query.Query{Tenant: r.URL.Query().Get("tenant")})
}

// search answers a page. The format is "entries", as they were hashed, or "ocsf".
func (t *Trail) search(w http.ResponseWriter, r *http.Request, q query.Query) {
	values := r.URL.Query()
	format := values.Get("format")
	if !parse(&q, values) || format != "" && format != "entries" && format != "ocsf" {
		badQuery(w)
		return
	}
	page, err := query.Find(r.Context(), t.cfg.Log, q)
	if errors.Is(err, query.ErrQuery) {
		badQuery(w)
		return
	}
	rows := make([]any, len(page.Rows))
	for i := 0; i < len(rows) && err == nil; i++ {
		row := page.Rows[i]
		if format == "ocsf" {
			var text []byte
			text, err = query.OCSF(row)
			rows[i] = jsontext.Value(text)
			continue
		}
		rows[i] = store.AuditRow{Index: row.Index, Entry: row.Entry}
	}
	if err != nil {
		t.unavailable(w, r, err)
		return
	}
	reply.JSON(w, http.StatusOK, map[string]any{"entries": rows, "next": page.Next})
}

// parse fills a query, but for its tenant.
func parse(q *query.Query, values url.Values) bool {
	q.Action, q.Actor, q.Target = values.Get("action"), values.Get("actor"), values.Get("target")
	q.After, q.Limit = values.Get("after"), listLimit
	var err error
	if text := values.Get("limit"); text != "" {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 || q.Limit > listLimit {
			return false
		}
	}
	for name, into := range map[string]*time.Time{"from": &q.From, "until": &q.Until} {
		if text := values.Get(name); text != "" {
			if *into, err = time.Parse(time.RFC3339, text); err != nil {
				return false
			}
		}
	}
	return true
}

var quarterForm = regexp.MustCompile(`^([0-9]{4})-Q([1-4])$`)

// Review answers GET /api/audit/review?site_id=...&quarter=2026-Q4: who changed what
// anybody may do on the site, and who used what they may do, as CSV. Without a quarter
// it is the one that is under way.
func (t *Trail) Review(w http.ResponseWriter, r *http.Request, g tenancy.Grant[View]) {
	at := time.Now()
	if text := r.URL.Query().Get("quarter"); text != "" {
		parts := quarterForm.FindStringSubmatch(text)
		if parts == nil {
			badQuery(w)
			return
		}
		year, _ := strconv.Atoi(parts[1])
		quarter, _ := strconv.Atoi(parts[2])
		at = time.Date(year, time.Month(3*quarter-2), 1, 0, 0, 0, 0, time.UTC)
	}
	if err := g.Check(); err != nil {
		t.unavailable(w, r, err)
		return
	}
	q := query.Query{Tenant: g.Site()}
	q.From, q.Until = query.Quarter(at)
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="access-review.csv"`)
	if err := query.AccessReview(r.Context(), t.cfg.Log, w, q); err != nil {
		t.cfg.Logger.ErrorContext(r.Context(), "access review cut off", "error", err)
		panic(http.ErrAbortHandler) // a file that ends early must not look whole
	}
}

// Checkpoint answers GET /api/audit/checkpoint: a signed note of what is recorded now.
func (t *Trail) Checkpoint(w http.ResponseWriter, r *http.Request, _ tenancy.Grant[View]) {
	text, err := t.publisher.Publish(r.Context())
	if err != nil {
		t.unavailable(w, r, err)
		return
	}
	signed(w, text)
}

// Proof answers GET /api/audit/proof/{index}: that the newest checkpoint covers this
// record of the site (https://c2sp.org/tlog-proof). Another site's is not found, nor one
// that is not signed yet.
func (t *Trail) Proof(w http.ResponseWriter, r *http.Request, g tenancy.Grant[View]) {
	index, err := strconv.ParseInt(r.PathValue("index"), 10, 64)
	if err != nil || index < 0 {
		notFound(w)
		return
	}
	proof, err := t.publisher.Proof(r.Context(), index)
	if errors.Is(err, fs.ErrNotExist) {
		notFound(w)
		return
	}
	own := false
	if err == nil {
		own, err = t.isOf(r, index, g.Site())
	}
	switch {
	case err != nil:
		t.unavailable(w, r, err)
	case !own:
		notFound(w)
	default:
		signed(w, proof)
	}
}

// isOf reports whether a record is a site's.
func (t *Trail) isOf(r *http.Request, index int64, site string) (bool, error) {
	for entry, err := range t.cfg.Log.Entries(r.Context(), index) {
		if err != nil {
			return false, err
		}
		record, err := audit.Parse(entry)
		return err == nil && site != "" && record.Tenant == site, nil
	}
	return false, nil
}

// Tiles answers GET /api/audit/tile/{path...} (https://c2sp.org/tlog-tiles), for tools
// that verify the whole log. Bundles hold every site's records.
func (t *Trail) Tiles(w http.ResponseWriter, r *http.Request, _ tenancy.Grant[ViewAll]) {
	http.StripPrefix("/api/audit", t.publisher.Handler()).ServeHTTP(w, r)
}

func signed(w http.ResponseWriter, text []byte) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(text)
}

func badQuery(w http.ResponseWriter) {
	reply.Problem(w, http.StatusUnprocessableEntity, event.CodeWrongShape,
		"The query has another shape")
}

func notFound(w http.ResponseWriter) {
	reply.Problem(w, http.StatusNotFound, tenancy.CodeNotFound, "There is nothing here")
}

func (t *Trail) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	t.cfg.Logger.ErrorContext(r.Context(), "audit log unavailable", "error", err)
	reply.Unavailable(w, reply.CodeStoreUnavailable, "The store does not answer; try again")
}
