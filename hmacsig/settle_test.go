package hmacsig_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
)

// signed returns a function that makes copies of one signed request.
func signed(t testing.TB, s hmacsig.Secret, content string) func() *http.Request {
	t.Helper()
	signer, err := hmacsig.NewSigner(hmacsig.SignerConfig{
		Scheme: hmacsig.OpsMantik(), KeyID: site, Secret: s,
	})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "/api/call-event/v2", strings.NewReader(content))
	require.NoError(t, signer.Sign(r))
	return func() *http.Request {
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(strings.NewReader(content))
		return again
	}
}

// A handler's failure must not turn the sender's retry into a replay.
func TestFailedRequestMayBeRetried(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		first http.HandlerFunc
		want  int // status of the same request sent again
	}{
		{"accepted", status(http.StatusAccepted), http.StatusConflict},
		{"silent success", func(http.ResponseWriter, *http.Request) {}, http.StatusConflict},
		{"redirect", status(http.StatusSeeOther), http.StatusAccepted},
		{"not modified", status(http.StatusNotModified), http.StatusAccepted},
		{"299", status(299), http.StatusConflict},
		{"300", status(http.StatusMultipleChoices), http.StatusAccepted},
		{"informational, then accepted", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusAccepted)
		}, http.StatusConflict},
		{"panic after the answer", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			panic(http.ErrAbortHandler) // what was written is not sent
		}, http.StatusAccepted},
		{"queue unavailable", status(http.StatusServiceUnavailable), http.StatusAccepted},
		{"rate limited", status(http.StatusTooManyRequests), http.StatusAccepted},
		{"refused", status(http.StatusUnprocessableEntity), http.StatusAccepted},
		{"panic", func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}, http.StatusAccepted},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			h := opsmantik(t, nil).Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if calls++; calls == 1 {
					row.first(w, r)
					return
				}
				w.WriteHeader(http.StatusAccepted)
			}))
			request := signed(t, secret(t, siteText), `{"n":1}`)
			serve(h, request())
			require.Equal(t, row.want, serve(h, request()).Code)
			require.Equal(t, http.StatusConflict, serve(h, request()).Code, "accepted once, never again")
		})
	}
}

// While the outcome is open the answer is "later", neither "done" nor a second
// run of the handler.
func TestConcurrentDoubleIsInFlight(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan int)
	h := opsmantik(t, nil).Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		w.WriteHeader(<-leave)
	}))
	request := signed(t, secret(t, siteText), `{"n":1}`)
	send := func() chan int {
		done := make(chan int, 1)
		go func() { done <- serve(h, request()).Code }()
		return done
	}

	first := send()
	<-entered
	double := serve(h, request())
	require.Equal(t, http.StatusServiceUnavailable, double.Code)
	require.NotEmpty(t, double.Header().Get("Retry-After"))
	require.Contains(t, double.Body.String(), hmacsig.CodeInFlight)
	leave <- http.StatusInternalServerError
	require.Equal(t, http.StatusInternalServerError, <-first)

	retry := send()
	<-entered
	leave <- http.StatusAccepted
	require.Equal(t, http.StatusAccepted, <-retry)
	require.Equal(t, http.StatusConflict, serve(h, request()).Code)
}

// Under concurrency a message is handled by one goroutine at a time, and
// accepted once in total, although every other attempt fails.
func TestThousandGoroutinesAcceptOnce(t *testing.T) {
	t.Parallel()
	var inside, accepted, tries atomic.Int32
	h := opsmantik(t, nil).Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if inside.Add(1) != 1 {
			t.Error("two handlers at once")
		}
		defer inside.Add(-1)
		if tries.Add(1) < 5 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		accepted.Add(1)
		inside.Add(-1) // the answer settles the claim
		w.WriteHeader(http.StatusAccepted)
		inside.Add(1)
	}))
	request := signed(t, secret(t, siteText), `{"n":1}`)
	var all sync.WaitGroup
	for range 1000 {
		all.Go(func() {
			for {
				code := serve(h, request()).Code
				if code == http.StatusAccepted || code == http.StatusConflict {
					return
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, int32(1), accepted.Load())
}

func TestCheckLeavesSettlingToTheCaller(t *testing.T) {
	t.Parallel()
	v := opsmantik(t, nil)
	request := signed(t, secret(t, siteText), `{}`)
	proof, err := v.Check(request())
	require.NoError(t, err)
	_, err = v.Check(request())
	require.Equal(t, hmacsig.CodeInFlight, reasonOf(t, err))
	require.NoError(t, v.Release(t.Context(), proof))
	proof, err = v.Check(request())
	require.NoError(t, err)
	require.NoError(t, v.Confirm(t.Context(), proof))
	_, err = v.Check(request())
	require.Equal(t, hmacsig.CodeReplayed, reasonOf(t, err))
	require.NoError(t, v.Release(t.Context(), proof), "too late to release")
	_, err = v.Check(request())
	require.Equal(t, hmacsig.CodeReplayed, reasonOf(t, err))
}

// The contract's answer to a replay: 200 noop.
func TestReplayAnsweredAsNoop(t *testing.T) {
	t.Parallel()
	v := opsmantik(t, func(cfg *hmacsig.Config) {
		cfg.OnReject = func(w http.ResponseWriter, _ *http.Request, rej *sallyport.Refusal) {
			if rej.Code == hmacsig.CodeReplayed {
				_, _ = io.WriteString(w, `{"status":"noop"}`)
				return
			}
			w.WriteHeader(rej.Status)
		}
	})
	h := v.Wrap(status(http.StatusAccepted))
	request := signed(t, secret(t, siteText), `{}`)
	require.Equal(t, http.StatusAccepted, serve(h, request()).Code)
	again := serve(h, request())
	require.Equal(t, http.StatusOK, again.Code)
	require.JSONEq(t, `{"status":"noop"}`, again.Body.String())
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// serve survives a panicking handler, as net/http does.
func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	func() {
		defer func() { _ = recover() }()
		h.ServeHTTP(w, r)
	}()
	return w
}
