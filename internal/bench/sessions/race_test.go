package sessions_test

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
)

var races = flag.Int("races", 2000, "how many races of ends against slow requests")

// within runs fn as a handler and returns the cookie that the client has afterwards.
func within(m *sessions.Manager[data], cookie string, fn func(*http.Request)) string {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Cookie", cookie)
	w := httptest.NewRecorder()
	m.Load(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { fn(r) })).ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		cookie = c.Name + "=" + c.Value
	}
	return cookie
}

// Slow readers, writers and step-ups hold a session while it is logged out, ended by
// its user or ended with everybody's: none of them brings it back, under any token.
func TestNothingIsResurrected(t *testing.T) {
	for name, all := range stores(t) {
		t.Run(name, func(t *testing.T) {
			var managers []*sessions.Manager[data]
			for _, s := range all {
				m, err := sessions.New[data](sessions.Config{Store: s})
				require.NoError(t, err)
				managers = append(managers, m)
			}
			var left, alive atomic.Int64
			left.Store(int64(*races))
			var workers sync.WaitGroup
			for w := range 4 {
				workers.Go(func() {
					for n := left.Add(-1); n >= 0; n = left.Add(-1) {
						alive.Add(int64(race(t, managers, string(rune('a'+w)), int(n))))
					}
				})
			}
			workers.Wait()
			require.Zero(t, alive.Load(), "sessions alive after their end")
		})
	}
}

// race returns how many tokens of the session work after its end.
func race(t *testing.T, managers []*sessions.Manager[data], user string, n int) int {
	pick := func(i int) *sessions.Manager[data] { return managers[(n+i)%len(managers)] }
	first := within(pick(0), "", func(r *http.Request) {
		login := sessions.Login{User: user, Level: sallyport.AAL1}
		if err := pick(0).Start(r.Context(), login, data{}); err != nil {
			t.Error(err)
		}
	})
	tokens := make([]string, 4)
	var loaded, ended sync.WaitGroup
	loaded.Add(len(tokens))
	for i := range tokens {
		ended.Go(func() {
			m := pick(i)
			tokens[i] = within(m, first, func(r *http.Request) {
				_, err := m.Check(r) // a slow request: it has seen the session
				loaded.Done()
				loaded.Wait()
				switch i {
				case 0:
					err = m.Update(r.Context(), func(d *data) error { d.N++; return nil })
				case 1:
					err = m.StepUp(r.Context(), sallyport.AAL2)
				case 2:
					_, err = m.Check(r)
				case 3:
					err = finish(r.Context(), m, user, n)
				}
				if err != nil && !errors.Is(err, sessions.ErrNoSession) {
					t.Error(err)
				}
			})
		})
	}
	ended.Wait()
	alive := 0
	for _, token := range append(tokens, first) {
		within(pick(0), token, func(r *http.Request) {
			if _, err := pick(0).Check(r); err == nil {
				alive++
			}
		})
	}
	return alive
}

// finish ends the session in one of the ways that are final.
func finish(ctx context.Context, m *sessions.Manager[data], user string, n int) error {
	switch n % 50 {
	case 0:
		_, err := m.EndUser(ctx, user)
		return err
	default:
		return m.Logout(ctx)
	}
}
