package hmacsigtest_test

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/hmacsigtest"
)

func TestForge(t *testing.T) {
	t.Parallel()
	for _, scheme := range []hmacsig.Scheme{
		hmacsig.OpsMantik(), hmacsig.StandardWebhooks(), hmacsig.Stripe(), hmacsig.Slack(),
		hmacsig.RFC9421(),
	} {
		for _, body := range []string{"", "{}"} {
			secret := hmacsig.Generate()
			ring, err := hmacsig.NewRotation(secret, hmacsig.Secret{})
			require.NoError(t, err)
			v, err := hmacsig.New(hmacsig.Config{
				Scheme: scheme, Keys: hmacsig.StaticKeys{"": ring, "site-1": ring},
			})
			require.NoError(t, err)
			f := hmacsigtest.New(t, scheme, "site-1", secret)
			altered := hmacsig.ReasonInvalid
			if scheme.Coverage == hmacsig.SignsDigest {
				altered = hmacsig.ReasonDigest
			}
			check := func(r *http.Request, want hmacsig.Reason) {
				t.Helper()
				_, err := v.Check(r)
				if want == "" {
					require.NoError(t, err, scheme.Name)
					return
				}
				var rejection *hmacsig.Rejection
				require.ErrorAs(t, err, &rejection, scheme.Name)
				require.Equal(t, want, rejection.Reason, scheme.Name)
			}
			check(f.Unsigned("POST", "/x", body), hmacsig.ReasonMissing)
			check(f.Expired("POST", "/x", body), hmacsig.ReasonExpired)
			check(f.Early("POST", "/x", body), hmacsig.ReasonNotYetValid)
			check(f.WrongKey("POST", "/x", body), hmacsig.ReasonInvalid)
			check(f.Altered("POST", "/x", body), altered)
			first, second := f.Replay("POST", "/x", body)
			check(first, "")
			check(second, hmacsig.ReasonInFlight)
		}
	}
}

func TestReplayThroughAHandler(t *testing.T) {
	t.Parallel()
	secret := hmacsig.Generate()
	ring, err := hmacsig.NewRotation(secret, hmacsig.Secret{})
	require.NoError(t, err)
	v, err := hmacsig.New(hmacsig.Config{
		Scheme: hmacsig.OpsMantik(), Keys: hmacsig.StaticKeys{"site-1": ring},
	})
	require.NoError(t, err)
	h := v.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	forge := hmacsigtest.New(t, hmacsig.OpsMantik(), "site-1", secret)
	first, second := forge.Replay("POST", "/", "{}")
	for _, row := range []struct {
		r    *http.Request
		want int
	}{{first, http.StatusOK}, {second, http.StatusConflict}} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, row.r)
		require.Equal(t, row.want, w.Code)
	}
}

// failing records that a test was ended.
type failing struct {
	testing.TB
	failed bool
}

func (*failing) Helper() {}

func (f *failing) Fatalf(string, ...any) {
	f.failed = true
	runtime.Goexit()
}

// What has no time cannot be late: a test that asks for it is told.
func TestUntimedSchemesHaveNoExpiredRequests(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(*hmacsigtest.Forge) *http.Request{
		"Expired": func(f *hmacsigtest.Forge) *http.Request { return f.Expired("POST", "/", "") },
		"Early":   func(f *hmacsigtest.Forge) *http.Request { return f.Early("POST", "/", "") },
	} {
		inner := &failing{TB: t}
		forge := hmacsigtest.New(inner, hmacsig.GitHub(), "", hmacsig.Generate())
		ended := sync.WaitGroup{}
		ended.Go(func() { make(forge) })
		ended.Wait()
		require.True(t, inner.failed, name)
	}
}
