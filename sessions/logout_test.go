package sessions_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
)

// clocks returns a time that lies back by these amounts on either clock. No call of
// package time makes one: only a machine that slept, or somebody who set its clock.
func clocks(wall, monotonic time.Duration) time.Time {
	t := time.Now().Add(-wall)
	ext, _ := reflect.TypeFor[time.Time]().FieldByName("ext") // the monotonic reading
	*(*int64)(unsafe.Add(unsafe.Pointer(&t), ext.Offset)) -= int64(monotonic - wall)
	return t
}

// rotating steps the browser up just before the victim's logout deletes anything.
type rotating struct {
	sessions.Store
	before func()
}

func (s *rotating) End(ctx context.Context, which sessions.Selection) (int, error) {
	s.rotate()
	return s.Store.End(ctx, which)
}

func (s *rotating) rotate() {
	if before := s.before; before != nil {
		s.before = nil
		before()
	}
}

// Logout and login end the session, not the token that it had a moment ago.
func TestLogoutIsNotUndoneByAStepUp(t *testing.T) {
	login := sessions.Login{User: "bob", Level: sallyport.AAL1}
	for name, over := range map[string]func(*manager, context.Context) error{
		"logout": func(m *manager, ctx context.Context) error { return m.Logout(ctx) },
		"login":  func(m *manager, ctx context.Context) error { return m.Start(ctx, login, cart{}) },
		"logout, after it was found": func(m *manager, ctx context.Context) error {
			_, err := get(m, ctx)
			require.NoError(t, err)
			return m.Logout(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := &rotating{Store: newMemory(t, sessions.MemoryConfig{})}
			m := newManager(t, func(c *sessions.Config) { c.Store = store })
			b := signIn(t, m, "ada")
			other := *b
			store.before = func() {
				other.do(m, func(ctx context.Context) {
					require.NoError(t, m.StepUp(ctx, sallyport.AAL2))
				})
			}
			b.do(m, func(ctx context.Context) { require.NoError(t, over(m, ctx)) })
			_, err := check(m, &other)
			require.Equal(t, sessions.CodeEnded, reason(err))
		})
	}
}

// A request that has lost its token to a step-up still knows whose session it was.
func TestLogoutAfterTheTokenWasLost(t *testing.T) {
	m := newManager(t, nil)
	b := signIn(t, m, "ada")
	other := *b
	b.do(m, func(ctx context.Context) {
		_, err := get(m, ctx)
		require.NoError(t, err)
		other.do(m, func(ctx context.Context) { require.NoError(t, m.StepUp(ctx, sallyport.AAL2)) })
		require.ErrorIs(t, m.Update(ctx, add), sessions.ErrNoSession)
		require.NoError(t, m.Logout(ctx))
	})
	_, err := check(m, &other)
	require.Equal(t, sessions.CodeEnded, reason(err))
}

// What one handler began or renewed, it can end.
func TestEndingWhatThisRequestBegan(t *testing.T) {
	login := sessions.Login{User: "ada", Level: sallyport.AAL1}
	start := func(m *manager, ctx context.Context) error { return m.Start(ctx, login, cart{}) }
	stepUp := func(m *manager, ctx context.Context) error { return m.StepUp(ctx, sallyport.AAL2) }
	logout := func(m *manager, ctx context.Context) error { return m.Logout(ctx) }
	type steps []func(*manager, context.Context) error
	for name, tt := range map[string]struct {
		steps steps
		left  int
	}{
		"start, logout":          {steps{start, logout}, 0},
		"start, start":           {steps{start, start}, 1},
		"step-up, logout":        {steps{stepUp, logout}, 0},
		"step-up, start":         {steps{stepUp, start}, 1},
		"logout, start":          {steps{logout, start}, 1},
		"logout, logout":         {steps{logout, logout}, 0},
		"start, step-up, logout": {steps{start, stepUp, logout}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := newManager(t, nil)
			b := signIn(t, m, "ada")
			b.do(m, func(ctx context.Context) {
				for _, step := range tt.steps {
					require.NoError(t, step(m, ctx))
				}
			})
			list, err := m.List(t.Context(), "ada")
			require.NoError(t, err)
			require.Len(t, list, tt.left)
			_, err = check(m, b)
			require.Equal(t, tt.left == 1, err == nil, "the browser's cookie is the one left")
		})
	}
}

// Duplicates are refused as sessions, but logging out must not pretend.
func TestLogoutEndsEveryPresentedSession(t *testing.T) {
	m := newManager(t, nil)
	ada, bob := signIn(t, m, "ada"), signIn(t, m, "bob")
	bad := "__Host-Http-session=x"
	both := &browser{cookie: strings.Join([]string{bad, ada.cookie, bob.cookie}, "; ")}
	both.do(m, func(ctx context.Context) {
		_, err := get(m, ctx)
		require.Equal(t, sessions.CodeDuplicate, reason(err))
		require.NoError(t, m.Logout(ctx))
	})
	for _, b := range []*browser{ada, bob} {
		_, err := check(m, b)
		require.Equal(t, sessions.CodeEnded, reason(err))
	}

	m, store := newFaulty(t)
	token := "__Host-Http-session=" + strings.Repeat("A", 44)
	many := &browser{cookie: strings.Repeat(token+"; ", 100)}
	many.do(m, func(ctx context.Context) { require.NoError(t, m.Logout(ctx)) })
	require.Equal(t, 8, store.calls, "no request makes it look up more")
}

// A stream asks again, past what the request has found already.
func TestRecheckSeesTheEnd(t *testing.T) {
	m, store := newFaulty(t)
	b := signIn(t, m, "ada")
	b.do(m, func(ctx context.Context) {
		require.NoError(t, m.Recheck(ctx))
		store.down = http.ErrServerClosed
		require.ErrorIs(t, m.Recheck(ctx), sessions.ErrUnavailable)
		store.down = nil
		require.NoError(t, m.Recheck(ctx), "an outage ends nothing")
		_, err := m.EndUser(ctx, "ada")
		require.NoError(t, err)
		_, err = get(m, ctx)
		require.NoError(t, err, "one request sees one truth, until it asks")
		require.ErrorIs(t, m.Recheck(ctx), sessions.ErrNoSession)
		_, err = get(m, ctx)
		require.ErrorIs(t, err, sessions.ErrNoSession)
		require.ErrorIs(t, m.Recheck(ctx), sessions.ErrNoSession)
	})
	require.Equal(t, sessions.CodeNotLoaded, reason(m.Recheck(t.Context())))
}

// seeing tells what became of the context of a delete.
type seeing struct {
	sessions.Store
	deleted []error
}

func (s *seeing) End(ctx context.Context, which sessions.Selection) (int, error) {
	s.deleted = append(s.deleted, ctx.Err())
	return s.Store.End(ctx, which)
}

// Destroying an undecodable record does not stop because the client went away.
func TestDestroyingOutlivesTheRequest(t *testing.T) {
	store := &seeing{Store: newMemory(t, sessions.MemoryConfig{})}
	m := newManager(t, func(c *sessions.Config) { c.Store = store })
	b := signIn(t, m, "ada")
	strict, err := sessions.New[string](sessions.Config{Store: store})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = strict.Check(b.request().WithContext(ctx))
	require.Equal(t, sessions.CodeUnreadable, reason(err))
	require.Equal(t, []error{nil}, store.deleted)
}

// MaxData itself fits; a byte more does not.
func TestMaxDataIsExact(t *testing.T) {
	login := sessions.Login{User: "ada", Level: sallyport.AAL1}
	fits := len(`{"N":0}`)
	for size, want := range map[int]error{fits: nil, fits - 1: sessions.ErrTooLarge} {
		m := newManager(t, func(c *sessions.Config) { c.MaxData = size })
		(&browser{}).do(m, func(ctx context.Context) {
			require.ErrorIs(t, m.Start(ctx, login, cart{}), want)
		})
	}
}

// touchy panics the first time it is read.
type touchy struct{ N int }

var errTouchy = http.ErrAbortHandler

func (c *touchy) UnmarshalJSON(data []byte) error {
	type plain touchy
	if err := json.Unmarshal(data, (*plain)(c)); err != nil {
		return err
	}
	if c.N == 7 {
		panic(errTouchy)
	}
	return nil
}

// halfway reads a member and panics, the first time.
type halfway struct{ Left string }

var tries = 0

func (h *halfway) UnmarshalJSON([]byte) error {
	if tries++; tries == 1 {
		h.Left = "of the first try"
		panic(errTouchy)
	}
	return nil
}

// What a panic left behind is not part of the session.
func TestAPanicLeavesNothingBehind(t *testing.T) {
	m, err := sessions.New[halfway](sessions.Config{Store: newMemory(t, sessions.MemoryConfig{})})
	require.NoError(t, err)
	b := &browser{}
	w := httptest.NewRecorder()
	m.Load(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		login := sessions.Login{User: "ada", Level: sallyport.AAL1}
		require.NoError(t, m.Start(r.Context(), login, halfway{}))
	})).ServeHTTP(w, b.request())
	b.take(w.Result())
	m.Load(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		require.PanicsWithValue(t, errTouchy, func() { _, _ = m.Check(r) })
		s, err := m.Check(r)
		require.NoError(t, err)
		require.Empty(t, s.Data.Left)
	})).ServeHTTP(httptest.NewRecorder(), b.request())
}

// A panic under the lock must not hang the response of whoever recovers it.
func TestAPanicWhileLookingUp(t *testing.T) {
	m, err := sessions.New[touchy](sessions.Config{Store: newMemory(t, sessions.MemoryConfig{})})
	require.NoError(t, err)
	b := &browser{}
	w := httptest.NewRecorder()
	m.Load(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		login := sessions.Login{User: "ada", Level: sallyport.AAL1}
		require.NoError(t, m.Start(r.Context(), login, touchy{N: 7}))
	})).ServeHTTP(w, b.request())
	b.take(w.Result())

	h := m.Load(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.PanicsWithValue(t, errTouchy, func() { _, _ = m.Check(r) })
		_, ok := m.FromContext(r.Context())
		require.False(t, ok, "nothing was found")
		w.WriteHeader(http.StatusTeapot)
	}))
	done := make(chan int, 1)
	go func() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, b.request())
		done <- w.Code
	}()
	select {
	case code := <-done:
		require.Equal(t, http.StatusTeapot, code)
	case <-time.After(10 * time.Second):
		require.FailNow(t, "the response hangs")
	}
}
