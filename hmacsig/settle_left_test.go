package hmacsig_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
)

// send sends a signed request to a real server and returns its status, 0 when
// there is no answer.
func send(ctx context.Context, t *testing.T, url string, r *http.Request) int {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	out, err := http.NewRequestWithContext(ctx, r.Method, url, strings.NewReader(string(body)))
	require.NoError(t, err)
	out.Header = r.Header.Clone()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	answer, err := client.Do(out)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return answer.StatusCode
}

// A client that hangs up while the handler waits has got no answer: the handler
// returns without a word, and that is no success.
func TestSilentHandlerOfAClientThatLeft(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		first func(http.ResponseWriter)
	}{
		{"says nothing", func(http.ResponseWriter) {}},
		{"says yes to nobody", func(w http.ResponseWriter) { w.WriteHeader(http.StatusAccepted) }},
		{"says no to nobody", func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			entered, left := make(chan struct{}), make(chan struct{})
			h := opsmantik(
				t,
				nil,
			).Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if calls.Add(1) > 1 {
					w.WriteHeader(http.StatusAccepted)
					return
				}
				defer close(left)
				close(entered)
				<-r.Context().Done()
				row.first(w)
			}))
			server := httptest.NewServer(h)
			defer server.Close()
			request := signed(t, secret(t, siteText), `{"n":1}`)
			ctx, hangUp := context.WithCancel(t.Context())
			go func() {
				<-entered
				hangUp()
			}()
			require.Zero(t, send(ctx, t, server.URL, request()))
			<-left
			require.Eventually(t, func() bool {
				return send(t.Context(), t, server.URL, request()) == http.StatusAccepted
			}, 5*time.Second, time.Millisecond)
			require.Equal(t, int32(2), calls.Load())
			require.Equal(t, http.StatusConflict, send(t.Context(), t, server.URL, request()))
		})
	}
}

// A silent handler whose client is there is answered 200 by net/http.
func TestSilentHandlerOfAClientThatWaits(t *testing.T) {
	t.Parallel()
	h := opsmantik(t, nil).Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server := httptest.NewServer(h)
	defer server.Close()
	request := signed(t, secret(t, siteText), `{"n":1}`)
	require.Equal(t, http.StatusOK, send(t.Context(), t, server.URL, request()))
	require.Equal(t, http.StatusConflict, send(t.Context(), t, server.URL, request()))
}

// http.TimeoutHandler inside the gate answers for a handler that goes on. The
// message stays in flight: no second handler may have it.
func TestTimeoutHandlerInsideTheGate(t *testing.T) {
	t.Parallel()
	var inside, most atomic.Int32
	release := make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		most.Store(max(most.Load(), inside.Add(1)))
		defer inside.Add(-1)
		<-release
		w.WriteHeader(http.StatusAccepted)
	})
	var lock sync.Mutex
	var told []sallyport.Event
	v := opsmantik(t, func(cfg *hmacsig.Config) {
		cfg.OnEvent = func(_ context.Context, e sallyport.Event) {
			lock.Lock()
			defer lock.Unlock()
			if e.Code == hmacsig.CodeClaimNotSettled {
				told = append(told, e)
			}
		}
	})
	// Another middleware in between makes no difference.
	between := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
		})
	}
	server := httptest.NewServer(
		v.Wrap(between(http.TimeoutHandler(slow, 20*time.Millisecond, "late"))),
	)
	defer server.Close()
	defer close(release)
	request := signed(t, secret(t, siteText), `{"n":1}`)
	for range 4 {
		require.Equal(t, http.StatusServiceUnavailable, send(t.Context(), t, server.URL, request()))
	}
	require.Equal(t, int32(1), most.Load(), "four handlers had it at once")
	lock.Lock()
	defer lock.Unlock()
	require.Len(t, told, 1)
	require.True(t, told[0].Allowed)
	require.ErrorContains(t, told[0].Err, "TimeoutHandler")
}

// Around the gate it is right: the claim is held until the handler returns, and
// a success that nobody was told is none.
func TestTimeoutHandlerAroundTheGate(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	release := make(chan struct{})
	v := opsmantik(t, nil)
	h := v.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			<-release
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "ok")
	}))
	server := httptest.NewServer(http.TimeoutHandler(h, 50*time.Millisecond, "late"))
	defer server.Close()
	request := signed(t, secret(t, siteText), `{"n":1}`)
	require.Equal(t, http.StatusServiceUnavailable, send(t.Context(), t, server.URL, request()))
	_, err := v.Check(request())
	require.Equal(t, hmacsig.CodeInFlight, reasonOf(t, err), "its handler is still running")
	close(release)
	require.Eventually(t, func() bool {
		return send(t.Context(), t, server.URL, request()) == http.StatusAccepted
	}, 5*time.Second, time.Millisecond)
	require.Equal(t, int32(2), calls.Load())
	require.Equal(t, http.StatusConflict, send(t.Context(), t, server.URL, request()))
}

// A handler's own 503 is no timeout: it releases.
func TestOwn503IsReleased(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	h := opsmantik(t, nil).Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	request := signed(t, secret(t, siteText), `{}`)
	require.Equal(t, http.StatusServiceUnavailable, serve(h, request()).Code)
	require.Equal(t, http.StatusOK, serve(h, request()).Code)
}

// A ServeMux inside the gate redirects /a to /a/ with 307: the message has not
// been handled.
func TestRedirectOfAServeMuxReleases(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /a/", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
	})
	server := httptest.NewServer(opsmantik(t, nil).Wrap(mux))
	defer server.Close()
	request := signed(t, secret(t, siteText), `{}`)
	require.Equal(t, http.StatusTemporaryRedirect, send(t.Context(), t, server.URL+"/a", request()))
	require.Equal(t, http.StatusAccepted, send(t.Context(), t, server.URL+"/a/", request()))
	require.Equal(t, http.StatusConflict, send(t.Context(), t, server.URL+"/a/", request()))
}

// Whatever a handler has answered, nobody else gets its message while it runs.
func TestClaimIsHeldWhileTheHandlerRuns(t *testing.T) {
	t.Parallel()
	for _, answer := range []int{http.StatusAccepted, http.StatusServiceUnavailable, http.StatusSeeOther} {
		answered, release := make(chan struct{}), make(chan struct{})
		v := opsmantik(t, nil)
		h := v.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(answer)
			_ = http.NewResponseController(w).Flush()
			close(answered)
			<-release
		}))
		request := signed(t, secret(t, siteText), `{}`)
		done := make(chan int)
		go func() { done <- serve(h, request()).Code }()
		<-answered
		_, err := v.Check(request())
		require.Equal(t, hmacsig.CodeInFlight, reasonOf(t, err), answer)
		close(release)
		require.Equal(t, answer, <-done)
	}
}

// failing is a client that takes the header and not the body.
type failing struct{ http.ResponseWriter }

func (failing) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// A success that could not be written has not left.
func TestUnwrittenSuccessIsReleased(t *testing.T) {
	t.Parallel()
	for _, write := range []func(w http.ResponseWriter){
		func(w http.ResponseWriter) { _, _ = w.Write([]byte("ok")) },
		func(w http.ResponseWriter) { _, _ = io.WriteString(w, "ok") },
		func(w http.ResponseWriter) { _, _ = io.Copy(w, strings.NewReader(strings.Repeat("x", 4096))) },
	} {
		h := opsmantik(
			t,
			nil,
		).Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { write(w) }))
		request := signed(t, secret(t, siteText), `{}`)
		h.ServeHTTP(failing{httptest.NewRecorder()}, request())
		require.Equal(t, http.StatusOK, serve(h, request()).Code)
		require.Equal(t, http.StatusConflict, serve(h, request()).Code)
	}
}

// A connection that was taken over has used its message up.
func TestHijackedConnectionConfirms(t *testing.T) {
	t.Parallel()
	v := opsmantik(t, nil)
	server := httptest.NewServer(
		v.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
				_ = conn.Close()
			}
		})),
	)
	defer server.Close()
	request := signed(t, secret(t, siteText), `{}`)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, request().Write(conn))
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "101")
	require.Eventually(t, func() bool {
		_, err := v.Check(request())
		return reasonOf(t, err) == hmacsig.CodeReplayed
	}, 5*time.Second, time.Millisecond)
}

// A gRPC error is HTTP 200 and a trailer.
func TestGRPCStatusSettles(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, kind string
		header     http.Header
		want       int // of the same message again
	}{
		{"ok", "application/grpc", http.Header{"Grpc-Status": {"0"}}, http.StatusConflict},
		{"ok, unannounced", "application/grpc+proto", http.Header{"Trailer:Grpc-Status": {"0"}}, http.StatusConflict},
		{"unavailable", "application/grpc", http.Header{"Grpc-Status": {"14"}}, http.StatusOK},
		{"unavailable, unannounced", "application/grpc", http.Header{"Trailer:Grpc-Status": {"14"}}, http.StatusOK},
		{"two", "application/grpc", http.Header{"Grpc-Status": {"0", "14"}}, http.StatusOK},
		{"broken off", "application/grpc", nil, http.StatusOK},
		{"web", "application/grpc-web+proto", nil, http.StatusConflict},
		{"other", "application/json", nil, http.StatusConflict},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			h := opsmantik(
				t,
				nil,
			).Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", row.kind)
				w.Header().Set("Trailer", "Grpc-Status")
				w.WriteHeader(http.StatusOK)
				_, _ = w.Write([]byte("message"))
				maps.Copy(w.Header(), row.header)
			}))
			request := signed(t, secret(t, siteText), `{}`)
			require.Equal(t, http.StatusOK, serve(h, request()).Code)
			require.Equal(t, row.want, serve(h, request()).Code)
		})
	}
}

// A scheme may count other answers as done: a single-use URL that redirects to
// its object has been used.
func TestSchemeSaysWhatIsDone(t *testing.T) {
	t.Parallel()
	scheme := hmacsig.OpsMantik()
	scheme.Done = func(status int) bool { return status == http.StatusFound }
	s := hmacsig.Generate()
	for _, row := range []struct{ answer, want int }{
		{http.StatusFound, http.StatusConflict}, {http.StatusOK, http.StatusOK},
	} {
		h := verifier(t, scheme, s).Wrap(status(row.answer))
		request := signed(t, s, `{}`)
		require.Equal(t, row.answer, serve(h, request()).Code)
		require.Equal(t, row.want, serve(h, request()).Code)
	}
}
