//go:build linux

package sessions_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/goredisstore"
	"github.com/alexedwards/scs/v2"
	gorilla "github.com/gorilla/sessions"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/sessions/redissession"
)

var ratios = flag.Bool("ratios", false, "measure beside the peers")

// contender is one way to serve a request.
type contender struct {
	name string
	h    http.Handler
	r    *http.Request
	best time.Duration
	all  []time.Duration
}

func (c *contender) round(n int) {
	w := &discard{h: http.Header{}}
	begin := time.Now()
	for range n {
		clear(w.h)
		c.h.ServeHTTP(w, c.r)
	}
	took := time.Since(begin) / time.Duration(n)
	c.all = append(c.all, took)
	if c.best == 0 || took < c.best {
		c.best = took
	}
}

// compete lets all take turns, and prints their times in terms of the first one's.
func compete(t *testing.T, row string, rounds, n int, all ...*contender) {
	t.Helper()
	for range rounds {
		for _, c := range all {
			c.round(n)
		}
	}
	var line strings.Builder
	line.WriteString("| " + row)
	for _, c := range all {
		w := &discard{h: http.Header{}}
		allocs := testing.AllocsPerRun(50, func() { clear(w.h); c.h.ServeHTTP(w, c.r) })
		slices.Sort(c.all)
		median := float64(c.all[len(c.all)/2]) / float64(all[0].all[len(all[0].all)/2])
		line.WriteString(fmt.Sprintf(" | %s %.2f, median %.2f (%.0f)", c.name,
			float64(c.best)/float64(all[0].best), median, allocs))
	}
	t.Log(line.String() + " |")
}

// of signs in and returns a contender whose handler does something with the session.
func of(t *testing.T, name string, m *sessions.Manager[data], do func(*http.Request)) *contender {
	t.Helper()
	cookie := within(m, "", func(r *http.Request) {
		require.NoError(t, m.Start(r.Context(), sessions.Login{User: "ada", Level: 1}, data{N: 1}))
	})
	return &contender{name: name, r: carrying(cookie), h: m.Load(handler(do))}
}

func ofSCS(t *testing.T, name string, m *scs.SessionManager, do func(context.Context)) *contender {
	t.Helper()
	w := httptest.NewRecorder()
	m.LoadAndSave(handler(func(r *http.Request) {
		m.Put(r.Context(), "user", "ada")
		m.Put(r.Context(), "n", 1)
	})).ServeHTTP(w, carrying(""))
	c := w.Result().Cookies()[0]
	return &contender{
		name: name, r: carrying(c.Name + "=" + c.Value),
		h: m.LoadAndSave(handler(func(r *http.Request) { do(r.Context()) })),
	}
}

func carrying(cookie string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	return r
}

func handler(do func(*http.Request)) http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { do(r) })
}

func TestRatios(t *testing.T) {
	if !*ratios {
		t.Skip("run with -ratios")
	}
	memory, err := sessions.NewMemory(sessions.MemoryConfig{})
	require.NoError(t, err)
	client := redis.NewClient(&redis.Options{
		Addr: loopback.Redis(t), MaxRetries: -1, ContextTimeoutEnabled: true,
	})
	defer client.Close()
	shared, err := redissession.New(redissession.Config{Client: client})
	require.NoError(t, err)
	defer shared.Close()
	for name, store := range map[string]sessions.Store{"memory": memory, "redis": shared} {
		n := map[string]int{"memory": 2000, "redis": 100}[name]
		m, err := sessions.New[data](sessions.Config{Store: store})
		require.NoError(t, err)
		peer := func(idle time.Duration) *scs.SessionManager {
			s := scs.New()
			s.IdleTimeout = idle
			if name == "redis" {
				s.Store = goredisstore.New(client)
			}
			return s
		}
		read := func(r *http.Request) {
			if s, err := m.Check(r); err != nil || s.Data.N == 0 {
				t.Error("no session")
			}
		}
		write := func(r *http.Request) {
			if err := m.Update(r.Context(), func(d *data) error { d.N++; return nil }); err != nil {
				t.Error(err)
			}
		}
		scsRead := func(s *scs.SessionManager) func(context.Context) {
			return func(ctx context.Context) {
				if s.GetInt(ctx, "n") == 0 {
					t.Error("no session")
				}
			}
		}
		idle, plain, writer := peer(30*time.Minute), peer(0), peer(30*time.Minute)
		bare := &contender{name: "bare handler", r: carrying(""), h: handler(func(*http.Request) {})}
		unused := &contender{name: "sallyport", r: carrying(""), h: m.Load(handler(func(*http.Request) {}))}
		scsUnused := &contender{name: "scs", r: carrying(""), h: plain.LoadAndSave(handler(func(*http.Request) {}))}
		compete(t, name+", no session", 40, n, unused, bare, scsUnused)
		rows := []*contender{
			of(t, "sallyport", m, read), ofSCS(t, "scs with idle limit", idle, scsRead(idle)),
			ofSCS(t, "scs without", plain, scsRead(plain)),
		}
		if name == "memory" {
			rows = append(rows, ofGorilla(t))
		} else {
			require.NoError(t, client.Set(t.Context(), "bare", make([]byte, 150), 0).Err())
			rows = append(rows, &contender{name: "bare GET", r: carrying(""), h: handler(func(r *http.Request) {
				if client.Get(r.Context(), "bare").Err() != nil {
					t.Error("no answer")
				}
			})})
		}
		compete(t, name+", read", 40, n, rows...)
		compete(t, name+", change", 40, n, of(t, "sallyport", m, write),
			ofSCS(t, "scs with idle limit", writer, func(ctx context.Context) {
				writer.Put(ctx, "n", writer.GetInt(ctx, "n")+1)
			}))
	}
}

// ofGorilla reads a session that is all in its cookie, signed and encrypted.
func ofGorilla(t *testing.T) *contender {
	t.Helper()
	store := gorilla.NewCookieStore(make([]byte, 64), make([]byte, 32))
	w := httptest.NewRecorder()
	r := carrying("")
	s, err := store.New(r, "s")
	require.NoError(t, err)
	s.Values["n"] = 1
	require.NoError(t, s.Save(r, w))
	c := w.Result().Cookies()[0]
	with := carrying(c.Name + "=" + c.Value)
	return &contender{name: "gorilla cookie", r: with, h: handler(func(r *http.Request) {
		// Its registry remembers a request; each one is new in life.
		s, err := store.New(r, "s")
		if err != nil || s.Values["n"] != 1 {
			t.Error("no session")
		}
	})}
}

// TestStalls creates, uses and lets go of a million sessions, and tells how long the
// slowest single operation took.
func TestStalls(t *testing.T) {
	if !*ratios {
		t.Skip("run with -ratios")
	}
	const count = 1_000_000
	memory, err := sessions.NewMemory(sessions.MemoryConfig{MaxSessions: count})
	require.NoError(t, err)
	ctx := t.Context()
	rec := func(i int) *sessions.Record {
		user := fmt.Sprintf("user-%08d", i)
		out := &sessions.Record{
			ID: fmt.Sprintf("%026d", i), User: user, Level: 1, PerUser: 64,
			Idle: 3 * time.Second, Lifetime: time.Hour, Data: []byte(`{"n":1}`),
		}
		x := uint64(i) + 0x9e3779b97f4a7c15
		for j := range out.Key.Hash {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			out.Key.Hash[j] = byte(x >> 32)
		}
		return out
	}
	// The thread's own time: on a busy machine the wall clock tells of the others.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	spent := func() time.Duration {
		var ts unix.Timespec
		require.NoError(t, unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts))
		return time.Duration(ts.Nano())
	}
	slowest := func(what string, n int, do func(i int)) {
		took := make([]time.Duration, n)
		for i := range n {
			begin := spent()
			do(i)
			took[i] = spent() - begin
		}
		slices.Sort(took)
		t.Logf("%s: median %v, 99.99%% %v, slowest five %v", what, took[n/2], took[n-n/10_000],
			took[n-5:])
	}
	all := make([]*sessions.Record, count)
	for i := range all {
		all[i] = rec(i)
	}
	runtime.GC()
	slowest("create to a million", count, func(i int) {
		_, err := memory.Create(ctx, all[i])
		require.NoError(t, err)
	})
	slowest("read at a million", count/10, func(i int) {
		_, _ = memory.Load(ctx, all[count-1-i].Key, sessions.Peek)
	})
	<-time.After(3100 * time.Millisecond) // all are over
	slowest("read after the peak", count+count/10, func(i int) {
		_, _ = memory.Load(ctx, all[i%count].Key, sessions.Use)
	})
	require.Zero(t, memory.Len())
	slowest("create after the peak", count/10, func(i int) {
		fresh := rec(count + i)
		fresh.Idle = time.Hour
		_, err := memory.Create(ctx, fresh)
		require.NoError(t, err)
	})
}
