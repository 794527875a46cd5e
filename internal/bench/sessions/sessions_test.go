// Package sessions_test measures sessions beside scs, both in memory, in one run:
// only the ratios mean anything.
package sessions_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
)

type data struct{ N int }

type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// signIn returns a request that carries the cookie which start's response set.
func signIn(b *testing.B, start http.Handler) *http.Request {
	b.Helper()
	w := httptest.NewRecorder()
	start.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	require.Len(b, w.Result().Cookies(), 1)
	c := w.Result().Cookies()[0]
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Cookie", c.Name+"="+c.Value)
	return r
}

func ours(b *testing.B) (*sessions.Manager[data], *http.Request) {
	b.Helper()
	store, err := sessions.NewMemory(sessions.MemoryConfig{})
	require.NoError(b, err)
	m, err := sessions.New[data](sessions.Config{Store: store})
	require.NoError(b, err)
	return m, signIn(b, m.Load(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		login := sessions.Login{User: "ada", Level: sallyport.AAL1}
		require.NoError(b, m.Start(r.Context(), login, data{N: 1}))
	})))
}

func theirs(b *testing.B, idle time.Duration) (*scs.SessionManager, *http.Request) {
	b.Helper()
	m := scs.New()
	m.IdleTimeout = idle
	return m, signIn(b, m.LoadAndSave(http.HandlerFunc(
		func(_ http.ResponseWriter, r *http.Request) {
			m.Put(r.Context(), "user", "ada")
			m.Put(r.Context(), "n", 1)
		})))
}

func run(b *testing.B, h http.Handler, r *http.Request) {
	b.Helper()
	w := &discard{h: http.Header{}}
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		clear(w.h)
		h.ServeHTTP(w, r)
	}
}

func BenchmarkMemory(b *testing.B) {
	none := httptest.NewRequest(http.MethodGet, "/", nil)
	unused := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	b.Run("no session/sallyport", func(b *testing.B) {
		m, _ := ours(b)
		run(b, m.Load(unused), none)
	})
	b.Run("no session/scs", func(b *testing.B) {
		m, _ := theirs(b, 0)
		run(b, m.LoadAndSave(unused), none)
	})
	b.Run("read with idle limit/sallyport", func(b *testing.B) {
		m, r := ours(b)
		run(b, m.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if s, ok := m.FromContext(r.Context()); !ok || s.Data.N != 1 {
				b.Error("no session")
			}
		})), r)
	})
	read := func(m *scs.SessionManager) http.Handler {
		return m.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if m.GetInt(r.Context(), "n") != 1 {
				b.Error("no session")
			}
		}))
	}
	b.Run("read with idle limit/scs", func(b *testing.B) {
		m, r := theirs(b, 30*time.Minute)
		run(b, read(m), r)
	})
	b.Run("read without idle limit/scs", func(b *testing.B) {
		m, r := theirs(b, 0)
		run(b, read(m), r)
	})
	b.Run("modify/sallyport", func(b *testing.B) {
		m, r := ours(b)
		run(b, m.Load(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			err := m.Update(r.Context(), func(d *data) error { d.N++; return nil })
			if err != nil {
				b.Error(err)
			}
		})), r)
	})
	b.Run("modify/scs", func(b *testing.B) {
		m, r := theirs(b, 30*time.Minute)
		run(b, m.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			m.Put(r.Context(), "n", m.GetInt(r.Context(), "n")+1)
		})), r)
	})
}
