package query_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/query"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func newLog(t *testing.T, records ...audit.Record) *audit.Log {
	t.Helper()
	log, err := audit.New(audit.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, log.Close()) })
	for _, r := range records {
		_, err := log.Append(t.Context(), r)
		require.NoError(t, err)
	}
	return log
}

func record(i int) audit.Record {
	return audit.Record{
		Time:    noon.Add(time.Duration(i) * time.Minute),
		Actor:   audit.Ref{Kind: "user", ID: fmt.Sprint("u", i%3)},
		Tenant:  fmt.Sprint("s", i%2),
		Action:  []string{"calls.seal", "calls.undo", "role.change", "calls.read"}[i%4],
		Target:  audit.Ref{Kind: "call", ID: fmt.Sprint(i)},
		Outcome: audit.OutcomeSuccess,
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	var all []audit.Record
	for i := range 120 {
		all = append(all, record(i))
	}
	log := newLog(t, all...)
	for name, tt := range map[string]struct {
		q     query.Query
		match func(i int) bool
	}{
		"everything": {query.Query{}, func(int) bool { return true }},
		"tenant":     {query.Query{Tenant: "s1"}, func(i int) bool { return i%2 == 1 }},
		"actor":      {query.Query{Actor: "u2"}, func(i int) bool { return i%3 == 2 }},
		"action":     {query.Query{Action: "calls.undo"}, func(i int) bool { return i%4 == 1 }},
		"target":     {query.Query{Target: "7"}, func(i int) bool { return i == 7 }},
		"time": {
			query.Query{From: noon.Add(5 * time.Minute), Until: noon.Add(9 * time.Minute)},
			func(i int) bool { return i >= 5 && i < 9 },
		},
		"several": {query.Query{Tenant: "s0", Actor: "u0"}, func(i int) bool { return i%6 == 0 }},
		"nothing": {query.Query{Tenant: "x"}, func(int) bool { return false }},
	} {
		for _, limit := range []int{0, 1, 7, 1000} {
			var want, got []int64
			for i := range all {
				if tt.match(i) {
					want = append(want, int64(i))
				}
			}
			q := tt.q
			q.Limit = limit
			for more := true; more; more = q.After != "" {
				page, err := query.Find(t.Context(), log, q)
				require.NoError(t, err)
				require.LessOrEqual(t, len(page.Rows), max(limit, 100))
				for _, row := range page.Rows {
					require.Equal(t, all[row.Index].Target, row.Record.Target)
					got = append(got, row.Index)
				}
				q.After = page.Next
			}
			require.Equal(t, want, got, "%s by %d", name, limit)
		}
	}
	for _, q := range []query.Query{
		{After: "x"},
		{After: "-1"},
		{After: "01"},
		{After: "99999999999999999999"},
		{Limit: -1},
		{Limit: 1001},
	} {
		_, err := query.Find(t.Context(), log, q)
		require.ErrorIs(t, err, query.ErrQuery)
	}
	page, err := query.Find(t.Context(), log, query.Query{After: "5000"})
	require.NoError(t, err)
	require.Empty(t, page.Rows)
	_, err = query.Find(t.Context(), (*audit.Log)(nil), query.Query{})
	require.Error(t, err)
}

// What is written between two pages neither moves nor repeats anything.
func TestCursorsAreStable(t *testing.T) {
	t.Parallel()
	log := newLog(t, record(0), record(1), record(2))
	page, err := query.Find(t.Context(), log, query.Query{Limit: 2})
	require.NoError(t, err)
	_, err = log.Append(t.Context(), record(3))
	require.NoError(t, err)
	page, err = query.Find(t.Context(), log, query.Query{Limit: 2, After: page.Next})
	require.NoError(t, err)
	require.EqualValues(t, 2, page.Rows[0].Index)
	require.EqualValues(t, 3, page.Rows[1].Index)
	require.Empty(t, page.Next)
}

func TestOCSF(t *testing.T) {
	t.Parallel()
	r := record(2)
	r.Outcome, r.Reason = audit.OutcomeDenied, "no"
	r.Fields = []audit.Field{
		{Name: "to", Value: "admin", Class: sallyport.Internal},
		{Name: "phone", Value: "+49123", Class: sallyport.Confidential},
		{Name: "mail", Value: "q83v", Handle: "h1"},
	}
	page, err := query.Find(t.Context(), newLog(t, r), query.Query{})
	require.NoError(t, err)
	got, err := query.OCSF(page.Rows[0])
	require.NoError(t, err)
	require.JSONEq(t, `{"class_uid":6003,"category_uid":6,"activity_id":3,"type_uid":600303,
		"severity_id":3,"status_id":2,"status":"denied","time":1795262520000,"message":"no",
		"metadata":{"version":"1.5.0","sequence":0,"tenant_uid":"s0",
		"product":{"name":"sallyport audit","vendor_name":"opsmantik"}},
		"actor":{"user":{"uid":"u2","type":"user"}},"api":{"operation":"role.change"},
		"resources":[{"type":"call","uid":"2"}],
		"unmapped":{"to":"admin","phone":null,"mail":null}}`, string(got))
	r.Reason, r.ReasonHandle = "q83v", "h2"
	for outcome, status := range map[audit.Outcome]float64{
		audit.OutcomeSuccess: 1, audit.OutcomeFailure: 2, audit.OutcomeIntent: 99,
	} {
		r.Outcome, r.Action = outcome, "login"
		got, err := query.OCSF(query.Row{Record: r})
		require.NoError(t, err)
		var e map[string]any
		require.NoError(t, json.Unmarshal(got, &e))
		require.InDelta(t, status, e["status_id"], 0)
		require.InDelta(t, 99, e["activity_id"], 0)
		require.NotContains(t, e, "message", "sealed")
	}
}

func TestAccessReview(t *testing.T) {
	t.Parallel()
	var all []audit.Record
	for i := range 12 {
		all = append(all, record(i))
	}
	all[2].Target.ID = "=cmd()"
	all[2].Fields = []audit.Field{{Name: "to", Value: "admin", Class: sallyport.Internal}}
	late := record(0)
	late.Time = noon.AddDate(0, 3, 0)
	from, until := query.Quarter(noon)
	require.Equal(t, time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), from)
	require.Equal(t, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), until)
	var out bytes.Buffer
	require.NoError(t, query.AccessReview(t.Context(), newLog(t, append(all, late)...), &out,
		query.Query{From: from, Until: until}))
	rows, err := csv.NewReader(&out).ReadAll()
	require.NoError(t, err)
	kinds := map[string]int{}
	for _, row := range rows {
		kinds[row[0]]++
	}
	require.Equal(t, map[string]int{"row": 1, "change": 3, "actor": 6}, kinds)
	require.Equal(t, []string{
		"change", "2", "2026-11-21T12:02:00Z", "s0", "user", "u2", "role.change", "call",
		"'=cmd()", "success", `{"to":"admin"}`, "",
	}, rows[1])
	require.Equal(t, []string{
		"actor", "", "2026-11-21T12:00:00Z", "s0", "user", "u0", "", "", "", "",
		`{"calls.seal":1,"role.change":1}`, "2026-11-21T12:06:00Z",
	}, rows[4])
	require.Error(t, query.AccessReview(t.Context(), (*audit.Log)(nil), &out, query.Query{}))
}

func TestOrphans(t *testing.T) {
	t.Parallel()
	step := func(target string, outcome audit.Outcome, at time.Time) audit.Record {
		r := record(0)
		r.Target.ID, r.Outcome, r.Time = target, outcome, at
		return r
	}
	later := noon.Add(time.Hour)
	other := step("1", audit.OutcomeIntent, noon)
	other.Tenant = "another"
	log := newLog(t,
		step("1", audit.OutcomeIntent, noon), other, step("2", audit.OutcomeIntent, noon),
		step("1", audit.OutcomeSuccess, noon), step("3", audit.OutcomeIntent, noon),
		step("3", audit.OutcomeFailure, noon), step("4", audit.OutcomeIntent, later),
	)
	orphans, err := query.Orphans(t.Context(), log, later)
	require.NoError(t, err)
	require.Len(t, orphans, 2)
	require.EqualValues(t, 1, orphans[0].Index)
	require.EqualValues(t, 2, orphans[1].Index)
	_, err = query.Orphans(t.Context(), (*audit.Log)(nil), later)
	require.Error(t, err)
}
