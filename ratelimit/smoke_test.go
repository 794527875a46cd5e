package ratelimit_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/stretchr/testify/require"
)

func TestSmoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := ratelimit.New(ratelimit.Config{Policies: []func(*http.Request) ratelimit.Policy{ratelimit.PerAddress("address", ratelimit.PerMinute(3))}})
		require.NoError(t, err)
		ca, err := ratelimit.NewClientAddr(ratelimit.ClientAddrConfig{})
		require.NoError(t, err)
		h := ca.Wrap(l.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {})))
		for range 4 {
			r := httptest.NewRequest("GET", "/", nil)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			t.Log(w.Code, w.Header(), w.Body)
		}
		time.Sleep(20 * time.Second)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		t.Log(w.Code)
		g, err := ratelimit.NewLoginGuard(l, ratelimit.LoginConfig{})
		require.NoError(t, err)
		for i := range 7 {
			a, err := g.Begin(context.Background(), netip.MustParseAddr("192.0.2.1"), "a@b")
			t.Log(i, err)
			if err == nil {
				t.Log(a.Delay)
				a.Fail(t.Context())
			} else {
				t.Log(err.(*ratelimit.Rejection).RetryAfter)
			}
		}
	})
}
