package tenancy_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/tenancy"
)

// The published bound: a second after the revocation nobody is let in any more.
func TestRevocationBoundByTTL(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, d := cachedGate(t, nil)
		old, err := view(g, "rob", "s1")
		require.NoError(t, err)
		time.Sleep(time.Nanosecond)
		d.set("rob", "s1", "")
		time.Sleep(time.Second - 2)
		_, err = view(g, "rob", "s1")
		require.NoError(t, err, "still remembered")
		require.EqualValues(t, 1, d.calls.Load())
		time.Sleep(time.Nanosecond)
		_, err = view(g, "rob", "s1")
		require.Equal(t, tenancy.CodeNotFound, code(err))
		require.ErrorIs(t, old.Check(), tenancy.ErrExpired, "whoever asks ends the old grants")

		d.set("rob", "s1", "rep")
		time.Sleep(time.Second - 1)
		_, err = view(g, "rob", "s1")
		require.Equal(t, tenancy.CodeNotFound, code(err), "absence is remembered too")
		require.EqualValues(t, 2, d.calls.Load())
		time.Sleep(time.Nanosecond)
		_, err = view(g, "rob", "s1")
		require.NoError(t, err)
		require.ErrorIs(t, old.Check(), tenancy.ErrExpired, "and they stay ended")
	})
}

// The other published bound: 50 ms after the revocation, where a push takes no longer
// than that: Forget itself takes no time at all.
func TestRevocationBoundByPush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, d := cachedGate(t, nil)
		second, err := tenancy.New(world(func(c *tenancy.Config) {
			c.Member, c.CacheTTL = d.member, time.Second
		}))
		require.NoError(t, err)
		gates := []*tenancy.Gate{first, second}
		var grants []tenancy.Grant[viewCalls]
		for _, g := range gates {
			grant, err := view(g, "rob", "s1")
			require.NoError(t, err)
			grants = append(grants, grant)
		}
		d.set("rob", "s1", "")
		for _, g := range gates { // what a subscription in every process does
			time.AfterFunc(50*time.Millisecond, func() { g.Forget("rob", "s1") })
		}
		time.Sleep(50*time.Millisecond - 1)
		for _, g := range gates {
			_, err := view(g, "rob", "s1")
			require.NoError(t, err)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		for i, g := range gates {
			_, err := view(g, "rob", "s1")
			require.Equal(t, tenancy.CodeNotFound, code(err))
			require.ErrorIs(t, grants[i].Check(), tenancy.ErrExpired)
		}
	})
}

// With everybody at it: who asks after Forget has returned is not let in, by no way.
func TestForgetRace(t *testing.T) {
	t.Parallel()
	for range 20 {
		g, d := cachedGate(t, nil)
		var forgotten atomic.Bool
		var late, uses atomic.Int64
		var users sync.WaitGroup
		for range 8 {
			users.Go(func() {
				for uses.Add(1) < 4000 {
					after := forgotten.Load()
					if grant, err := view(g, "rob", "s1"); after && (err == nil || grant.Check() == nil) {
						late.Add(1)
					}
				}
			})
		}
		for uses.Load() < 1000 {
			_, _ = view(g, "rob", "s1")
		}
		d.set("rob", "s1", "")
		g.Forget("rob", "s1")
		forgotten.Store(true)
		users.Wait()
		require.Zero(t, late.Load())
		_, err := view(g, "rob", "s1")
		require.Equal(t, tenancy.CodeNotFound, code(err))
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		user, site string
		ends       [3]bool // rob at s1, rob at s2, max at s1
	}{
		"one":         {"rob", "s1", [3]bool{true, false, false}},
		"a user":      {"rob", "", [3]bool{true, true, false}},
		"a site":      {"", "s1", [3]bool{true, false, true}},
		"all":         {"", "", [3]bool{true, true, true}},
		"nobody":      {"eve", "s1", [3]bool{}},
		"not cached":  {"rob", "s3", [3]bool{}},
		"of absences": {"eve", "", [3]bool{}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, d := cachedGate(t, nil)
				d.set("rob", "s2", "rep")
				d.set("max", "s1", "manager")
				_, err := view(g, "eve", "s1")
				require.Equal(t, tenancy.CodeNotFound, code(err))
				who := [3][2]string{{"rob", "s1"}, {"rob", "s2"}, {"max", "s1"}}
				var first, later [3]tenancy.Grant[viewCalls]
				for i, w := range who {
					first[i], err = view(g, w[0], w[1])
					require.NoError(t, err)
				}
				time.Sleep(time.Second) // the cache asks again; the grants live on
				for i, w := range who {
					later[i], err = view(g, w[0], w[1])
					require.NoError(t, err)
					require.NoError(t, first[i].Check())
				}
				g.Forget(tt.user, tt.site)
				before := d.calls.Load()
				for i, w := range who {
					require.Equal(t, tt.ends[i], first[i].Check() != nil, w)
					require.Equal(t, tt.ends[i], later[i].Check() != nil, w)
					require.Equal(t, tt.ends[i], later[i].Scope().Check() != nil, w)
					again, err := view(g, w[0], w[1])
					require.NoError(t, err)
					require.NoError(t, again.Check())
				}
				asked := d.calls.Load() - before
				var want int64
				for _, ends := range tt.ends {
					if ends {
						want++
					}
				}
				require.Equal(t, want, asked)
			})
		})
	}
}

// Without a cache there is one end: that of all.
func TestForgetWithoutCache(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil)
	grant, err := view(g, "rob", "s1")
	require.NoError(t, err)
	g.Forget("rob", "s1")
	require.NoError(t, grant.Check())
	g.Forget("", "")
	require.ErrorIs(t, grant.Check(), tenancy.ErrExpired)
	grant, err = view(g, "rob", "s1")
	require.NoError(t, err)
	require.NoError(t, grant.Check())
}

// What was read before Forget is not let in after it, by whoever asked.
func TestForgetDuringLookup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, d := cachedGate(t, nil)
		release := make(chan struct{})
		d.gate = func(context.Context) { <-release }
		results := make(chan error, 3)
		ask := func() {
			grant, err := view(g, "rob", "s1")
			if err == nil {
				err = grant.Check()
			}
			results <- err
		}
		go ask()
		synctest.Wait()
		go ask() // waits for the first
		synctest.Wait()
		require.EqualValues(t, 1, d.calls.Load())

		d.mu.Lock()
		d.roles, d.gate = map[[2]string]tenancy.Role{}, nil
		d.mu.Unlock()
		g.Forget("rob", "s1")
		ask() // does not join the old lookup
		require.Equal(t, tenancy.CodeNotFound, code(<-results))
		// While those who waited ask again, nobody finds the old answer.
		again := make(chan struct{})
		d.mu.Lock()
		d.gate = func(context.Context) { <-again }
		d.mu.Unlock()
		g.Forget("rob", "s1")
		close(release)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := tenancy.Authorize[viewCalls](ctx, g, person("rob"), "s1")
		require.Equal(t, tenancy.CodeUnavailable, code(err))
		close(again)
		synctest.Wait()
		require.Equal(t, tenancy.CodeNotFound, code(<-results))
		require.Equal(t, tenancy.CodeNotFound, code(<-results))
		_, err = view(g, "rob", "s1")
		require.Equal(t, tenancy.CodeNotFound, code(err), "the old answer was not kept")
	})
}
