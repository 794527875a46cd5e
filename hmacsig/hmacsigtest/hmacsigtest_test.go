package hmacsigtest_test

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
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
			keyID := ""
			if scheme.KeyID != nil {
				keyID = "site-1"
			}
			v, err := hmacsig.New(hmacsig.Config{
				Scheme: scheme, Keys: hmacsig.StaticKeys{keyID: ring},
			})
			require.NoError(t, err)
			f := hmacsigtest.New(t, scheme, keyID, secret)
			altered := hmacsig.CodeSignatureInvalid
			if scheme.SignsDigest {
				altered = hmacsig.CodeBodyDigest
			}
			check := func(r *http.Request, want string) {
				t.Helper()
				_, err := v.Check(r)
				if want == "" {
					require.NoError(t, err, scheme.Name)
					return
				}
				var rejection *sallyport.Refusal
				require.ErrorAs(t, err, &rejection, scheme.Name)
				require.Equal(t, want, rejection.Code, scheme.Name)
			}
			check(f.Unsigned("POST", "/x", body), hmacsig.CodeSignatureMissing)
			check(f.Expired("POST", "/x", body), hmacsig.CodeSignatureExpired)
			check(f.Early("POST", "/x", body), hmacsig.CodeSignatureNotYetValid)
			check(f.WrongKey("POST", "/x", body), hmacsig.CodeSignatureInvalid)
			check(f.Altered("POST", "/x", body), altered)
			first, second := f.Replay("POST", "/x", body)
			check(first, "")
			check(second, hmacsig.CodeInFlight)
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
