package watch_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit/watch"
)

var start = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)

const (
	failed = "login_attempt_failed"
	fine   = "site_access_granted"
)

// rig is an engine with a clock of its own.
type rig struct {
	*watch.Engine
	t    *testing.T
	now  time.Time
	told []watch.Alert
}

func newRig(t *testing.T, cfg watch.Config) *rig {
	t.Helper()
	return newRigAt(t, cfg, start)
}

func newRigAt(t *testing.T, cfg watch.Config, now time.Time) *rig {
	t.Helper()
	r := &rig{t: t, now: now}
	if cfg.OnAlert == nil {
		cfg.OnAlert = func(_ context.Context, alerts []watch.Alert) error {
			r.told = append(r.told, alerts...)
			return nil
		}
	}
	var err error
	r.Engine, err = watch.New(cfg)
	require.NoError(t, err)
	r.pass(time.Minute)
	return r
}

// pass lets time go by, in steps of a second at most.
func (r *rig) pass(d time.Duration) {
	for end := r.now.Add(d); r.now.Before(end); {
		r.now = r.now.Add(min(time.Second*5, end.Sub(r.now)))
		r.Advance(r.t.Context(), r.now)
	}
}

// minutes plays minutes with n events each.
func (r *rig) minutes(count, n int, e sallyport.Event) {
	for range count {
		for range n {
			r.Observe(r.t.Context(), e)
		}
		r.now = r.now.Add(time.Minute)
		r.Advance(r.t.Context(), r.now)
	}
}

func (r *rig) codes() (all []string) {
	for _, a := range r.told {
		all = append(all, a.Code+" "+a.Rule+" "+a.Tier.String())
	}
	return all
}

func from(address string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/auth/login", nil)
	r.RemoteAddr = address + ":4711"
	return r
}

func failure(account, address string) sallyport.Event {
	return sallyport.Event{Gate: "loginguard", Code: failed, Actor: account, Request: from(address)}
}

var spraying = watch.Scenario{
	Name: "spraying", Match: watch.Match{Codes: []string{failed}}, Per: watch.All,
	Distinct: watch.Actor, Capacity: 20, Leak: time.Minute, Page: true, Hint: "look at /watchtower",
}

// TestSprayingIsSeen: 50 accounts, tried by 50 addresses, each once.
func TestSprayingIsSeen(t *testing.T) {
	t.Parallel()
	r := newRig(t, watch.Config{Scenarios: []watch.Scenario{spraying}})
	for i := range 50 {
		r.Observe(t.Context(), failure(fmt.Sprintf("user-%d", i), fmt.Sprintf("192.0.2.%d", i)))
		r.pass(2 * time.Second)
	}
	require.Equal(t, []string{"scenario_overflow spraying page"}, r.codes())
	require.Equal(t, "look at /watchtower", r.told[0].Hint)
	require.Less(t, r.told[0].Updated.Sub(r.told[0].Since), 2*time.Minute)
}

func TestFewAccountsAreNoSpraying(t *testing.T) {
	t.Parallel()
	r := newRig(t, watch.Config{Scenarios: []watch.Scenario{spraying}})
	for i := range 500 {
		r.Observe(t.Context(), failure(fmt.Sprintf("user-%d", i%10), "192.0.2.1"))
		r.pass(time.Second)
	}
	require.Empty(t, r.told)
}

// TestProbingOfTenants: one principal tries many sites. What was typed is not shown.
func TestProbingOfTenants(t *testing.T) {
	t.Parallel()
	r := newRig(t, watch.Config{Scenarios: []watch.Scenario{{
		Name: "probing", Match: watch.Match{Gate: "tenancy", Outcome: watch.Refused},
		Per: watch.Actor, Distinct: watch.Tenant, Capacity: 5, Leak: 10 * time.Minute,
	}}})
	for i := range 8 {
		r.Observe(t.Context(), sallyport.Event{
			Gate: "tenancy", Code: "resource_not_found", Actor: "hunter2", Tenant: fmt.Sprint("site", i),
		})
	}
	r.pass(time.Second)
	require.Equal(t, []string{"scenario_overflow probing notice"}, r.codes())
	require.NotContains(t, r.told[0].ID+r.told[0].Key, "hunter2")
	require.True(t, strings.HasPrefix(r.told[0].Key, "#"))
}

// TestSpoofedKeysDoNotHideOne: a million other keys leave the full bucket alone, and
// memory as it is.
func TestSpoofedKeysDoNotHideOne(t *testing.T) {
	t.Parallel()
	r := newRig(t, watch.Config{Scenarios: []watch.Scenario{{
		Name: "guessing", Match: watch.Match{Codes: []string{failed}},
		Per: watch.Actor, Capacity: 30, Leak: time.Minute,
	}}})
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = fmt.Sprint("spoofed-", i)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 1_000_000 {
		r.Observe(t.Context(), failedAs(keys[i%len(keys)]+"x"[:i%2]))
		if i%25_000 == 0 {
			r.Observe(t.Context(), failedAs("victim"))
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(8<<20))
	r.pass(time.Second)
	require.NotEmpty(t, r.told)
}

func failedAs(account string) sallyport.Event {
	return sallyport.Event{Gate: "loginguard", Code: failed, Actor: account}
}

// TestVolumeAlonePagesNobody, but with refusals it does.
func TestVolumeAlonePagesNobody(t *testing.T) {
	t.Parallel()
	for _, bad := range []bool{false, true} {
		t.Run(fmt.Sprint("refusals ", bad), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, watch.Config{
				Series: []watch.Series{
					{Name: "granted", Match: watch.Match{Outcome: watch.Allowed}},
					{Name: "refused", Match: watch.Match{Outcome: watch.Refused}},
				},
				Ratios: []watch.Ratio{{Name: "share", Part: "refused", Whole: "granted", Usual: 0.02}},
			})
			r.minutes(29*24*60, 10, sallyport.Event{Code: fine, Allowed: true})
			require.Empty(t, r.told)
			for range 5 {
				if bad {
					for range 30 {
						r.Observe(t.Context(), sallyport.Event{Code: failed})
					}
				}
				r.minutes(1, 150, sallyport.Event{Code: fine, Allowed: true})
			}
			want := []string{"traffic_rise granted notice"}
			if bad {
				require.Contains(t, r.codes(), "traffic_rise granted page")
				require.Contains(t, r.codes(), "ratio_shift share page")
				return
			}
			require.Equal(t, want, r.codes())
		})
	}
}

// TestFirstMonthPagesNobody for volume, refusals or not.
func TestFirstMonthPagesNobody(t *testing.T) {
	t.Parallel()
	for days, tier := range map[int]string{0: "", 9: "notice", 29: "page"} {
		r := newRig(t, watch.Config{Series: []watch.Series{
			{Name: "refused", Match: watch.Match{Outcome: watch.Refused}},
		}})
		r.minutes(days*24*60+10, 10, sallyport.Event{Code: failed})
		r.minutes(8, 100, sallyport.Event{Code: failed})
		if tier == "" {
			require.Empty(t, r.told, "the first day learns only")
			continue
		}
		require.NotEmpty(t, r.told, "day %d", days)
		require.Equal(t, "traffic_rise refused "+tier, r.codes()[len(r.told)-1])
	}
}

// TestGapRestartStop: three things that look alike in the counts.
func TestGapRestartStop(t *testing.T) {
	t.Parallel()
	cfg := watch.Config{Series: []watch.Series{{Name: "granted"}}}
	event := sallyport.Event{Code: fine, Allowed: true}
	r := newRig(t, cfg)
	r.minutes(8*24*60, 10, event)
	state, err := r.Snapshot()
	require.NoError(t, err)

	r.minutes(10, 0, event)
	require.Equal(t, []string{"traffic_stop granted notice"}, r.codes())
	r.minutes(20, 10, event)
	require.Len(t, r.told, 2, "and resolved; the return is no rise")
	require.NotZero(t, r.told[1].Ended)

	cfg.State = state
	restarted := newRigAt(t, cfg, start.AddDate(0, 0, 8).Add(3*time.Hour))
	restarted.minutes(30, 10, event)
	require.Empty(t, restarted.told, "three hours without the process are no stop")

	r.told = nil
	r.now = r.now.Add(2 * time.Hour)
	r.minutes(30, 10, event)
	require.Equal(t, "watcher_impaired gap notice", r.codes()[0])
	for _, a := range r.told {
		require.Equal(t, watch.CodeWatcher, a.Code, "a gap is no stop")
	}
}

func TestNoveltyIsToldOnce(t *testing.T) {
	t.Parallel()
	cfg := watch.Config{Novelties: []watch.Novelty{{
		Name: "service", Match: watch.Match{Codes: []string{"service_access_granted"}},
		By: watch.Actor, Learn: time.Hour, Page: true,
	}}}
	r := newRig(t, cfg)
	use := func(r *rig, who string) {
		r.Observe(t.Context(), sallyport.Event{Code: "service_access_granted", Allowed: true, Actor: who})
		r.pass(time.Second)
	}
	use(r, "nightly")
	r.pass(time.Hour)
	require.Empty(t, r.told, "learned")
	use(r, "nightly")
	use(r, "intruder")
	use(r, "intruder")
	require.Equal(t, []string{"first_seen service page"}, r.codes())
	require.Equal(t, "intruder", r.told[0].Key)

	var err error
	cfg.State, err = r.Snapshot()
	require.NoError(t, err)
	later := newRigAt(t, cfg, r.now)
	use(later, "intruder")
	require.Empty(t, later.told, "remembered over a restart")
	use(later, "another")
	require.Len(t, later.told, 1)
}

func TestGauges(t *testing.T) {
	t.Parallel()
	r := newRig(t, watch.Config{Gauges: []watch.Gauge{
		{Name: "lag", Limit: 60, For: 2 * time.Minute, Page: true},
	}})
	r.Set("lag", 90)
	r.Set("unknown", 1)
	r.pass(time.Minute)
	require.Empty(t, r.told)
	r.Set("lag", 120)
	r.pass(3 * time.Minute)
	require.Equal(t, []string{"gauge_beyond_limit lag page"}, r.codes())
	r.Set("lag", 1)
	r.pass(4 * time.Minute)
	r.told = nil
	r.pass(10 * time.Minute)
	require.NotEmpty(t, r.told, "nobody sets it any more")
}

func TestDecisions(t *testing.T) {
	t.Parallel()
	var recorded []watch.Decision
	refuse := errors.New("the audit log is full")
	var record error
	r := newRig(t, watch.Config{
		Scenarios: []watch.Scenario{spraying},
		Record: func(_ context.Context, d watch.Decision) error {
			if record == nil {
				recorded = append(recorded, d)
			}
			return record
		},
	})
	spray := func() {
		for i := range 30 {
			r.Observe(t.Context(), failedAs(fmt.Sprint("user", i, r.now)))
		}
		r.pass(10 * time.Second)
	}
	spray()
	require.Len(t, r.told, 1)
	id := r.told[0].ID
	d := watch.Decision{
		Alert: id, Action: watch.Silence, Actor: "admin", Reason: "a test of ours", Time: r.now,
		Until: r.now.Add(3 * time.Hour),
	}
	record = refuse
	require.ErrorIs(t, r.Decide(t.Context(), d), refuse)
	require.Empty(t, r.Alerts()[0].Decisions, "what is not on record does not happen")
	record = nil
	for _, broken := range []watch.Decision{
		{},
		{Alert: id, Action: watch.Silence, Actor: "admin", Time: r.now, Reason: "x"},
		{Alert: id, Action: "drop", Actor: "admin", Time: r.now, Reason: "x"},
		{Alert: id, Action: watch.Silence, Actor: "a", Time: r.now, Reason: "x", Until: r.now.AddDate(1, 0, 0)},
	} {
		require.Error(t, r.Decide(t.Context(), broken))
	}
	require.ErrorIs(t, r.Decide(t.Context(), watch.Decision{
		Alert: "none", Action: watch.Acknowledge, Actor: "a", Reason: "x", Time: r.now,
	}), watch.ErrNoAlert)
	require.NoError(t, r.Decide(t.Context(), d))
	require.Len(t, recorded, 1)
	r.pass(2 * time.Hour)
	spray()
	require.Len(t, r.told, 1, "silenced")
	d.Action, d.Time = watch.Expected, r.now
	d.Until = r.now.Add(3 * time.Hour)
	require.NoError(t, r.Decide(t.Context(), d))
	at := r.Alerts()[0].Updated
	r.pass(time.Minute)
	spray()
	require.Equal(t, at, r.Alerts()[0].Updated, "expected: not even judged")
	require.Len(t, r.Alerts()[0].Decisions, 2)
}

func TestBreachClock(t *testing.T) {
	t.Parallel()
	r := newRig(t, watch.Config{})
	require.NoError(t, r.Decide(t.Context(), watch.Decision{
		Alert: "laptop", Action: watch.Breach, Actor: "admin", Reason: "stolen", Time: r.now,
	}))
	r.pass(73 * time.Hour)
	var told []watch.Alert
	for _, a := range r.told {
		if a.Code == watch.CodeBreach {
			told = append(told, a)
		}
	}
	require.Greater(t, len(told), 8)
	require.Contains(t, told[len(told)-1].Condition, "are over")
	require.NoError(t, r.Decide(t.Context(), watch.Decision{
		Alert: told[0].ID, Action: watch.Notified, Actor: "admin", Reason: "sent", Time: r.now,
	}))
	r.told = nil
	r.pass(2 * time.Hour)
	require.Empty(t, r.told)
}

func TestUnreachableScenarios(t *testing.T) {
	t.Parallel()
	limit := watch.Limit{Codes: []string{failed}, Per: watch.Actor, Events: 10, Within: 15 * time.Minute}
	scenario := func(capacity int, leak time.Duration, per watch.Key) watch.Config {
		return watch.Config{
			Limits: []watch.Limit{limit}, Codes: []string{failed},
			Scenarios: []watch.Scenario{{
				Name: "guessing", Match: watch.Match{Codes: []string{failed}}, Per: per,
				Capacity: capacity, Leak: leak,
			}},
		}
	}
	for _, row := range []struct {
		name string
		cfg  watch.Config
		code string
	}{
		{"more than the limiter lets through", scenario(20, time.Minute, watch.Actor), sallyport.ConfigConflict},
		{"as many as at once", scenario(9, time.Minute, watch.Actor), ""},
		{"filled slowly", scenario(20, time.Hour, watch.Actor), ""},
		{"another key", scenario(20, time.Minute, watch.Address), ""},
		{"no key", scenario(20, time.Hour, watch.Nobody), sallyport.ConfigRequired},
		{"no leak", scenario(20, 0, watch.Actor), sallyport.ConfigOutOfRange},
		{"unknown code", watch.Config{
			Codes:  []string{failed},
			Series: []watch.Series{{Name: "x", Match: watch.Match{Codes: []string{"login_failed"}}}},
		}, sallyport.ConfigUnknown},
		{"twice", watch.Config{Series: []watch.Series{{Name: "x"}, {Name: "x"}}}, sallyport.ConfigDuplicate},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			_, err := watch.New(row.cfg)
			if row.code == "" {
				require.NoError(t, err)
				return
			}
			var problem *sallyport.ConfigError
			require.ErrorAs(t, err, &problem)
			require.Equal(t, row.code, problem.Code)
		})
	}
}

func TestObserveAllocatesNothing(t *testing.T) {
	r := newRig(t, full())
	for name, e := range map[string]sallyport.Event{
		"allowed": {Gate: "tenancy", Code: fine, Allowed: true, Tenant: "a"},
		"refused": failure("user", "192.0.2.1"),
	} {
		require.Zero(t, testing.AllocsPerRun(1000, func() { r.Observe(context.Background(), e) }), name)
	}
}

func full() watch.Config {
	return watch.Config{
		Tenants: []string{"a", "b"},
		Series: []watch.Series{
			{Name: "decisions", PerTenant: true},
			{Name: "refused", Match: watch.Match{Outcome: watch.Refused}, PerTenant: true, Top: watch.Address},
		},
		Scenarios: []watch.Scenario{spraying, {
			Name: "guessing", Match: watch.Match{Codes: []string{failed}}, Per: watch.Address,
			Capacity: 20, Leak: time.Minute,
		}},
	}
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	r := newRig(t, full())
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 500 {
				r.Observe(t.Context(), failure(fmt.Sprint("u", n), fmt.Sprint("192.0.2.", i)))
			}
		})
	}
	all.Go(func() {
		for i := range 100 {
			r.Advance(t.Context(), start.Add(time.Duration(2+i)*time.Minute))
			r.Alerts()
			r.Health()
			_, _ = r.Snapshot()
		}
	})
	all.Wait()
}

func TestNilEngine(t *testing.T) {
	t.Parallel()
	var e *watch.Engine
	e.Observe(t.Context(), sallyport.Event{Code: fine})
	e.Set("lag", 1)
	require.Zero(t, e.Health())
}

func BenchmarkObserve(b *testing.B) {
	for name, event := range map[string]sallyport.Event{
		"allowed": {Gate: "tenancy", Code: fine, Allowed: true, Tenant: "a"},
		"refused": failure("user", "192.0.2.1"),
	} {
		b.Run(name, func(b *testing.B) {
			e, err := watch.New(full())
			require.NoError(b, err)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					e.Observe(context.Background(), event)
				}
			})
		})
	}
}

func FuzzState(f *testing.F) {
	e, err := watch.New(full())
	require.NoError(f, err)
	state, err := e.Snapshot()
	require.NoError(f, err)
	f.Add(state)
	f.Add([]byte(`{"version":1,"volumes":{"decisions\u0000a":{"Slot":-1}}}`))
	f.Fuzz(func(t *testing.T, state []byte) {
		cfg := full()
		cfg.State = state
		e, err := watch.New(cfg)
		if err != nil {
			return
		}
		for i := range 10 {
			e.Advance(t.Context(), start.Add(time.Duration(i)*time.Minute))
		}
	})
}
