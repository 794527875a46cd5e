package storetest_test

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/storetest"
)

// naive is the contract in its plainest form. A fault breaks it in one way.
type naive struct {
	fault string

	mu      sync.Mutex
	buckets map[id]bucket
	holders map[id]map[string]time.Time
}

type id struct {
	name string
	key  ratelimit.Key
}

type bucket struct {
	full  time.Time
	since time.Time // when it was first refused under a limit smaller than its debt
}

func newNaive(fault string) *naive {
	return &naive{
		fault: fault, buckets: map[id]bucket{}, holders: map[id]map[string]time.Time{},
	}
}

func (s *naive) is(fault string) bool { return s.fault == fault }

func (s *naive) id(p *ratelimit.Policy) id {
	switch {
	case s.is("names ignored"):
		return id{key: p.Key}
	case s.is("tenants ignored"):
		return id{p.Name, p.Key.In("")}
	case s.is("keys ignored"):
		return id{p.Name, ratelimit.TextKey("all").In(p.Key.Tenant())}
	}
	return id{p.Name, p.Key}
}

func full(p *ratelimit.Policy) time.Duration {
	return p.Limit.Interval() * time.Duration(p.Limit.Capacity())
}

// busy returns the time until a bucket is full.
func (s *naive) busy(b bucket, p *ratelimit.Policy, now time.Time) time.Duration {
	busy := max(b.full.Sub(now), 0)
	switch {
	case s.is("starts afresh under a new limit") && busy > full(p):
		return 0
	case busy <= full(p), s.is("owes the old debt under a new limit"):
		return busy
	case b.since.IsZero():
		return full(p)
	}
	return max(full(p)-now.Sub(b.since), 0)
}

func (s *naive) Take(
	_ context.Context, policies []ratelimit.Policy, results []ratelimit.Result,
) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	admit := true
	busy := make([]time.Duration, len(policies))
	for i := range policies {
		p := &policies[i]
		busy[i] = s.busy(s.buckets[s.id(p)], p, now)
		results[i] = p.Result(busy[i])
		if s.is("admits one more") && results[i].RetryAfter > 0 &&
			results[i].RetryAfter <= p.Limit.Interval() && s.buckets[s.id(p)].since.IsZero() {
			results[i].Fits = true
		}
		if s.is("makes an impossible cost wait") && !results[i].Fits {
			results[i].RetryAfter = max(results[i].RetryAfter, time.Second)
		}
		if s.is("tells too short a wait") {
			results[i].RetryAfter /= 4
		}
		admit = admit && (results[i].Fits || p.Shadow && !s.is("lets a shadow refuse"))
	}
	if s.is("looks and charges apart") {
		s.mu.Unlock()
		runtime.Gosched()
		s.mu.Lock()
	}
	for i := range policies {
		s.settle(&policies[i], &results[i], busy[i], now, admit)
	}
	return nil
}

func (s *naive) settle(
	p *ratelimit.Policy, r *ratelimit.Result, busy time.Duration, now time.Time, admit bool,
) {
	key := s.id(p)
	b := s.buckets[key]
	charged := r.Fits && (admit || s.is("charges although another refused"))
	switch {
	case p.Cost < 0 && s.is("gives nothing back"):
	case p.Shadow && s.is("never charges a shadow"):
	case charged && p.Cost != 0:
		busy = max(busy+p.Limit.Interval()*time.Duration(p.Cost), 0)
		s.buckets[key] = bucket{full: now.Add(busy)}
		after := p.Result(busy)
		after.Fits, after.RetryAfter = true, 0
		*r = after
	case b.full.Sub(now) > full(p) && full(p) > 0 && p.Cost > 0:
		switch {
		case s.is("forgives under a smaller limit"):
			s.buckets[key] = bucket{full: now.Add(busy)}
		case s.is("never refills under a smaller limit"):
		case b.since.IsZero():
			b.since = now
			s.buckets[key] = b
		}
	}
}

func (s *naive) Forget(_ context.Context, policies []ratelimit.Policy) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range policies {
		if !s.is("never forgets") {
			delete(s.buckets, s.id(&policies[i]))
		}
	}
	return nil
}

func (s *naive) Enter(
	_ context.Context, p ratelimit.Policy, token string, limit int, lease time.Duration,
) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, now := s.id(&p), time.Now()
	if s.holders[key] == nil {
		s.holders[key] = map[string]time.Time{}
	}
	for t, end := range s.holders[key] {
		if !now.Before(end) && !s.is("holds for ever") {
			delete(s.holders[key], t)
		}
	}
	_, again := s.holders[key][token]
	if again && s.is("renews nothing") {
		return false, nil
	}
	if !again && len(s.holders[key]) >= limit && !s.is("bounds nobody") {
		return false, nil
	}
	s.holders[key][token] = now.Add(lease)
	return true, nil
}

func (s *naive) Leave(_ context.Context, p ratelimit.Policy, token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.is("keeps the place") {
		delete(s.holders[s.id(&p)], token)
	}
	return nil
}

const variable = "SALLYPORT_BROKEN_STORE"

func run(t *testing.T, fault string) {
	t.Helper()
	storetest.Run(t, func(testing.TB) ratelimit.Store { return newNaive(fault) })
}

func TestThePlainestStorePasses(t *testing.T) { run(t, "") }

// TestBrokenStore runs in processes of TestTheSuiteFailsBrokenStores, where it
// must fail.
func TestBrokenStore(t *testing.T) {
	fault := os.Getenv(variable)
	if fault == "" {
		t.Skip("runs within TestTheSuiteFailsBrokenStores")
	}
	run(t, fault)
}

func TestTheSuiteFailsBrokenStores(t *testing.T) {
	t.Parallel()
	for fault, part := range map[string]string{
		"admits one more":                     "admits_exactly_the_burst",
		"tells too short a wait":              "admits_again_after_RetryAfter_and_not_before",
		"charges although another refused":    "charges_all_or_none",
		"lets a shadow refuse":                "charges_a_shadow_without_refusing",
		"never charges a shadow":              "charges_a_shadow_without_refusing",
		"makes an impossible cost wait":       "a_cost_above_the_burst_never_fits",
		"gives nothing back":                  "cost_0_looks,_a_negative_cost_gives_back",
		"names ignored":                       "keeps_names,_keys_and_tenants_apart",
		"keys ignored":                        "keeps_names,_keys_and_tenants_apart",
		"tenants ignored":                     "keeps_names,_keys_and_tenants_apart",
		"owes the old debt under a new limit": "a_smaller_limit_refills_from_its_first_refusal_on",
		"never refills under a smaller limit": "a_smaller_limit_refills_from_its_first_refusal_on",
		"starts afresh under a new limit":     "a_smaller_limit_refills_from_its_first_refusal_on",
		"forgives under a smaller limit":      "a_refusal_under_one_limit_forgives_nothing_under_another",
		"never forgets":                       "forgets",
		"looks and charges apart":             "is_exact_under_1,000_goroutines",
		"bounds nobody":                       "bounds_holders",
		"renews nothing":                      "bounds_holders",
		"keeps the place":                     "bounds_holders",
		"holds for ever":                      "frees_a_place_after_its_lease",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(
				t.Context(), os.Args[0], "-test.run=^TestBrokenStore$/^"+part+"$",
			)
			cmd.Env = append(os.Environ(), variable+"="+fault)
			out, err := cmd.CombinedOutput()
			require.Error(t, err, "the suite passes it")
			require.Contains(t, string(out), "--- FAIL: TestBrokenStore/"+part)
		})
	}
}
