package query

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opsmantik/sallyport/audit"
)

// Quarter returns the first moment of the quarter that t is in, and that of the next.
func Quarter(t time.Time) (from, until time.Time) {
	t = t.UTC()
	month := (t.Month()-1)/3*3 + 1
	from = time.Date(t.Year(), month, 1, 0, 0, 0, 0, time.UTC)
	return from, from.AddDate(0, 3, 0)
}

// accessChanges are the kinds of actions that change who may do what.
var accessChanges = []string{
	"user.", "users.", "role.", "roles.", "key.", "keys.", "grant.", "grants.", "access.",
}

// holder sums up what one actor did.
type holder struct {
	first, last time.Time
	actions     map[string]int
}

// AccessReview writes what a review of access rights needs, as CSV: a row "change" for
// each change of users, roles, keys and grants in the period (actions that begin with
// these words), and a row "actor" for each who acted, with what they did how often and
// when last. Who holds a right and did not use it in the quarter is missing among the
// actors: ask why they have it.
func AccessReview(ctx context.Context, log audit.Store, w io.Writer, q Query) error {
	out := csv.NewWriter(w)
	rows := [][]string{{
		"row", "index", "time", "tenant", "actor_kind", "actor", "action", "target_kind",
		"target", "outcome", "details", "last",
	}}
	actors := map[[3]string]*holder{}
	err := each(ctx, log, q, func(row Row) error {
		r := row.Record
		changes := func(prefix string) bool { return strings.HasPrefix(r.Action, prefix) }
		if slices.ContainsFunc(accessChanges, changes) {
			rows = append(rows, []string{
				"change", strconv.FormatInt(row.Index, 10), r.Time.Format(time.RFC3339), r.Tenant,
				r.Actor.Kind, r.Actor.ID, r.Action, r.Target.Kind, r.Target.ID, string(r.Outcome),
				details(r), "",
			})
		}
		key := [3]string{r.Tenant, r.Actor.Kind, r.Actor.ID}
		h := actors[key]
		if h == nil {
			h = &holder{first: r.Time, actions: map[string]int{}}
			actors[key] = h
		}
		h.last = r.Time
		h.actions[r.Action]++
		return nil
	})
	if err != nil {
		return err
	}
	keys := slices.SortedFunc(maps.Keys(actors), func(a, b [3]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]), cmp.Compare(a[2], b[2]))
	})
	for _, key := range keys {
		h := actors[key]
		counts, _ := json.Marshal(h.actions)
		rows = append(rows, []string{
			"actor", "", h.first.Format(time.RFC3339), key[0], key[1], key[2], "", "", "", "",
			string(counts), h.last.Format(time.RFC3339),
		})
	}
	for _, row := range rows {
		for i := range row {
			row[i] = cell(row[i])
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// details are the fields that may be shown, as JSON.
func details(r audit.Record) string {
	if len(r.Fields) == 0 {
		return ""
	}
	fields := map[string]any{}
	for _, f := range r.Fields {
		fields[f.Name] = shown(f)
	}
	text, _ := json.Marshal(fields)
	return string(text)
}

// cell keeps a spreadsheet from taking a value for a formula
// (https://owasp.org/www-community/attacks/CSV_Injection).
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
