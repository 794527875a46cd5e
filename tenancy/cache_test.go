package tenancy_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/tenancy"
)

// directory is a membership table that can be changed, counted and held up.
type directory struct {
	mu    sync.Mutex
	roles map[[2]string]tenancy.Role
	err   error
	calls atomic.Int64
	gate  func(context.Context) // runs after the table was read, if set
}

func (d *directory) set(user, site string, role tenancy.Role) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.roles[[2]string{user, site}] = role
}

func (d *directory) member(ctx context.Context, user, site string) (tenancy.Role, error) {
	d.calls.Add(1)
	d.mu.Lock()
	role, err, hold := d.roles[[2]string{user, site}], d.err, d.gate
	d.mu.Unlock()
	if hold != nil {
		hold(ctx)
	}
	return role, err
}

// cachedGate remembers for a second, in the smallest table.
func cachedGate(t testing.TB, edit func(*tenancy.Config)) (*tenancy.Gate, *directory) {
	d := &directory{roles: map[[2]string]tenancy.Role{{"rob", "s1"}: "rep"}}
	return newGate(t, func(c *tenancy.Config) {
		c.Member, c.CacheTTL, c.CacheSize = d.member, time.Second, 64
		if edit != nil {
			edit(c)
		}
	}), d
}

func person(id string) sallyport.Principal {
	return sallyport.Principal{Kind: sallyport.KindUser, ID: id, Level: sallyport.AAL1}
}

func view(g *tenancy.Gate, user, site string) (tenancy.Grant[viewCalls], error) {
	return tenancy.Authorize[viewCalls](context.Background(), g, person(user), site)
}

func TestLookupsAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, d := cachedGate(t, nil)
		d.gate = func(context.Context) { time.Sleep(100 * time.Millisecond) }
		var users sync.WaitGroup
		for range 100 {
			users.Go(func() {
				_, err := view(g, "rob", "s1")
				require.NoError(t, err)
			})
		}
		users.Go(func() {
			_, err := view(g, "rob", "s2")
			require.Equal(t, tenancy.CodeNotFound, code(err))
		})
		users.Wait()
		require.EqualValues(t, 2, d.calls.Load())
	})
}

// A failure is everybody's who waited, and nobody's after that.
func TestFailuresAreNotRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, d := cachedGate(t, nil)
		d.err = errDown
		d.gate = func(context.Context) { time.Sleep(time.Millisecond) }
		var users sync.WaitGroup
		for range 10 {
			users.Go(func() {
				_, err := view(g, "rob", "s1")
				require.Equal(t, tenancy.CodeUnavailable, code(err))
				require.ErrorIs(t, err, errDown)
			})
		}
		users.Wait()
		require.EqualValues(t, 1, d.calls.Load())
		d.err = nil
		_, err := view(g, "rob", "s1")
		require.NoError(t, err)
	})
}

// Whoever asked first may leave or panic; the others must not suffer for it.
func TestFirstToAskLeaves(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"leaves", "panics"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, d := cachedGate(t, nil)
				ctx, leave := context.WithCancel(t.Context())
				d.gate = func(ctx context.Context) {
					<-ctx.Done()
					if name == "panics" {
						panic(name)
					}
				}
				go func() {
					defer func() { require.Equal(t, name == "panics", recover() != nil) }()
					_, err := tenancy.Authorize[viewCalls](ctx, g, person("rob"), "s1")
					require.Equal(t, tenancy.CodeUnavailable, code(err))
					require.ErrorIs(t, err, context.Canceled)
				}()
				synctest.Wait()
				done := make(chan error)
				go func() {
					_, err := view(g, "rob", "s1")
					done <- err
				}()
				synctest.Wait()
				require.EqualValues(t, 1, d.calls.Load())
				d.mu.Lock()
				d.gate = nil
				d.mu.Unlock()
				leave()
				require.NoError(t, <-done)
				require.EqualValues(t, 2, d.calls.Load())
			})
		})
	}
}

// Who waits for another's lookup waits no longer than for its own.
func TestWaitingHasADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, d := cachedGate(t, func(c *tenancy.Config) { c.Timeout = time.Minute })
		release := make(chan struct{})
		d.gate = func(context.Context) { <-release } // deaf to its context
		go func() { _, _ = view(g, "rob", "s1") }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := tenancy.Authorize[viewCalls](ctx, g, person("rob"), "s1")
		require.Equal(t, tenancy.CodeUnavailable, code(err))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(began))
		close(release)
	})
}

// Guessing sites pushes no member out, and the table does not grow.
func TestGuessesPushNoMembersOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, d := cachedGate(t, nil)
		_, err := view(g, "rob", "s1")
		require.NoError(t, err)
		for i := range 1000 {
			_, err := view(g, "eve", fmt.Sprint("x", i))
			require.Equal(t, tenancy.CodeNotFound, code(err))
		}
		before := d.calls.Load()
		_, err = view(g, "rob", "s1")
		require.NoError(t, err)
		require.Equal(t, before, d.calls.Load())

		// What is full gives up its oldest: of the last 16, few have lost their place
		// of four to later ones. Any other victim would cost about 6.
		for i := range 1000 {
			time.Sleep(time.Microsecond)
			d.set("ann", fmt.Sprint("s", i), "rep")
			_, err := view(g, "ann", fmt.Sprint("s", i))
			require.NoError(t, err)
		}
		before = d.calls.Load()
		for i := range 16 {
			_, err := view(g, "ann", fmt.Sprint("s", 999-i))
			require.NoError(t, err)
		}
		require.LessOrEqual(t, d.calls.Load()-before, int64(2))
		before = d.calls.Load()
		for i := range 1000 {
			_, err := view(g, "ann", fmt.Sprint("s", i))
			require.NoError(t, err)
		}
		require.GreaterOrEqual(t, d.calls.Load()-before, int64(1000-64), "64 places")
	})
}

// Networks are remembered with the membership, and told apart from a hit's.
func TestCacheIsSeenInTheDecision(t *testing.T) {
	t.Parallel()
	var cached []bool
	g, _ := cachedGate(t, func(c *tenancy.Config) {
		c.OnEvent = func(_ context.Context, e sallyport.Event) {
			cached = append(cached, e.Detail.(tenancy.Decision).Cached)
		}
	})
	for range 2 {
		_, err := view(g, "rob", "s1")
		require.NoError(t, err)
	}
	require.Equal(t, []bool{false, true}, cached)
}

// TestCacheAgainstModel changes memberships at random, with and without a push. The
// model knows since when each role has been what it is; nobody may be let in by a
// role that ended a second ago, or before a Forget.
func TestCacheAgainstModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, d := cachedGate(t, func(c *tenancy.Config) {
					if seed%2 == 0 { // an event takes the long way
						c.OnEvent = func(context.Context, sallyport.Event) {}
					}
				})
				random := rand.New(rand.NewPCG(seed, 1))
				type state struct {
					is, was tenancy.Role // was is good until the cache must have noticed
					until   time.Time
				}
				model := map[[2]string]state{{"rob", "s1"}: {is: "rep"}}
				pick := func() (string, string) {
					return []string{"rob", "ann", "max"}[random.IntN(3)], fmt.Sprint("s", random.IntN(30))
				}
				for range 5000 {
					user, site := pick()
					k := [2]string{user, site}
					m := model[k]
					switch random.IntN(10) {
					case 0:
						role := []tenancy.Role{"", "rep"}[random.IntN(2)]
						if role != m.is {
							m = state{is: role, was: m.is, until: time.Now().Add(time.Second)}
						}
						d.set(user, site, role)
						model[k] = m
					case 1:
						g.Forget(user, site)
						m.until = time.Now()
						model[k] = m
					case 2:
						time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
					default:
						_, err := view(g, user, site)
						may := m.is != "" || m.was != "" && time.Now().Before(m.until)
						must := m.is != "" && !time.Now().Before(m.until)
						if err == nil && !may || err != nil && must {
							t.Fatalf("%v: got %v, role %q, was %q", k, err, m.is, m.was)
						}
					}
				}
			})
		})
	}
}

// What is asked most takes the short way, which does not even parse the site.
func TestShortWay(t *testing.T) {
	t.Parallel()
	parsed := 0
	g, _ := cachedGate(t, func(c *tenancy.Config) {
		c.ParseSite = func(text string) (string, bool) { parsed++; return text, true }
	})
	for range 3 {
		_, err := view(g, "rob", "s1")
		require.NoError(t, err)
	}
	require.Equal(t, 1, parsed)
}

// What is remembered is decided as if it were asked for, whoever asks and however.
func TestRememberedDecidesTheSame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := newGate(t, nil)
		remembers := newGate(t, func(c *tenancy.Config) { c.CacheTTL = time.Second })
		check := func(who sallyport.Principal, site string) {
			for range 3 {
				_, want := tenancy.Authorize[viewCalls](t.Context(), asked, who, site)
				_, got := tenancy.Authorize[viewCalls](t.Context(), remembers, who, site)
				require.Equal(t, code(want), code(got), "%v %s", who, site)
				_, want = tenancy.Authorize[sealCall](t.Context(), asked, who, site)
				_, got = tenancy.Authorize[sealCall](t.Context(), remembers, who, site)
				require.Equal(t, code(want), code(got), "%v %s", who, site)
				_, want = tenancy.Authorize[eraseData](t.Context(), asked, who, site)
				_, got = tenancy.Authorize[eraseData](t.Context(), remembers, who, site)
				require.Equal(t, code(want), code(got), "%v %s", who, site)
				_, got = tenancy.Authorize[tenancy.Permission](t.Context(), remembers, who, site)
				require.Error(t, got)
			}
		}
		for _, kind := range []string{"", "user", "key", "service", "robot"} {
			for _, id := range []string{"", "root", "ann", "max", "rob", "odd", "nil", "eve"} {
				for level := range sallyport.AAL3 + 1 {
					for _, key := range []string{"", "k1"} {
						for _, scopes := range [][]string{nil, {"calls:view"}, {"calls:seal"}} {
							for _, site := range []string{"", "s1", "s2", "S1", "s1\n", "down"} {
								check(sallyport.Principal{
									Kind: kind, ID: id, Level: level, Key: key, Scopes: scopes,
									AuthTime: time.Now().Add(-time.Hour),
								}, site)
							}
						}
					}
				}
			}
		}
	})
}

// Not parallel: AllocsPerRun counts the whole process.
func TestCachedAllocations(t *testing.T) {
	g, _ := cachedGate(t, nil)
	who, ctx := person("rob"), context.Background()
	_, err := tenancy.Authorize[viewCalls](ctx, g, who, "s1")
	require.NoError(t, err)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		grant, err := tenancy.Authorize[viewCalls](ctx, g, who, "s1")
		if err != nil || grant.Site() != "s1" {
			panic("refused")
		}
	}))
}

func BenchmarkCachedAuthorize(b *testing.B) {
	g, d := cachedGate(b, nil)
	const user, site = "user-123456", "0123456789abcdef0123456789abcdef"
	d.set(user, site, "rep")
	who, ctx := person(user), context.Background()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = tenancy.Authorize[viewCalls](ctx, g, who, site)
	}
}
