package hmacsig_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig"
)

// A body that is too large, before anything is authenticated, must not end an
// HTTP/2 connection for everybody on it.
func TestTooLargeKeepsTheHTTP2Connection(t *testing.T) {
	t.Parallel()
	v := custom(
		t,
		hmacsig.OpsMantik(),
		hmacsig.Generate(),
		func(c *hmacsig.Config) { c.MaxBodyBytes = 10 },
	)
	mux := http.NewServeMux()
	mux.Handle("/signed", v.Wrap(status(http.StatusOK)))
	mux.HandleFunc(
		"/plain",
		func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) },
	)
	var conns int
	server := httptest.NewUnstartedServer(mux)
	server.EnableHTTP2 = true
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns++
		}
	}
	server.StartTLS()
	defer server.Close()
	client := server.Client()
	client.Transport.(*http.Transport).TLSClientConfig.MinVersion = tls.VersionTLS12
	for range 3 {
		r, err := http.NewRequest(
			http.MethodPost,
			server.URL+"/signed",
			strings.NewReader(strings.Repeat("x", 11)),
		)
		require.NoError(t, err)
		r.Header.Set("X-Ops-Site-Id", site)
		r.Header.Set("X-Ops-Ts", "1795299383")
		r.Header.Set("X-Ops-Signature", strings.Repeat("0", 64))
		answer, err := client.Do(r)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		require.Equal(t, http.StatusRequestEntityTooLarge, answer.StatusCode)
		plain, err := client.Get(server.URL + "/plain")
		require.NoError(t, err)
		text, _ := io.ReadAll(plain.Body)
		_ = plain.Body.Close()
		require.Equal(t, "HTTP/2.0", string(text))
	}
	require.Equal(t, 1, conns, "one connection served all")
}

// A body that is shorter than its Content-Length, from the network.
func TestBodyShorterThanAnnounced(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(opsmantik(t, nil).Wrap(status(http.StatusOK)))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	r := signed(t, secret(t, siteText), "{}")()
	_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"+
		"X-Ops-Site-Id: %s\r\nX-Ops-Ts: %s\r\nX-Ops-Signature: %s\r\n\r\n{}",
		r.Header.Get("X-Ops-Site-Id"), r.Header.Get("X-Ops-Ts"), r.Header.Get("X-Ops-Signature"))
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	text, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	require.Equal(t, http.StatusBadRequest, answer.StatusCode)
	require.Contains(t, string(text), hmacsig.CodeBodyIncomplete)
}

// A middleware in front that has read the body is named as the cause, and not
// the sender.
func TestBodyConsumedInFront(t *testing.T) {
	t.Parallel()
	for name, consume := range map[string]func(*http.Request){
		"read":        func(r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) },
		"read a part": func(r *http.Request) { _, _ = io.ReadFull(r.Body, make([]byte, 3)) },
		"closed":      func(r *http.Request) { _ = r.Body.Close() },
		"form parsed": func(r *http.Request) { _ = r.ParseForm() },
	} {
		gate := opsmantik(t, nil).Wrap(status(http.StatusOK))
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			consume(r)
			gate.ServeHTTP(w, r)
		}))
		r := signed(t, secret(t, siteText), "event=call&n=1")()
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		require.Equal(t, http.StatusServiceUnavailable, send(t.Context(), t, server.URL, r), name)
		server.Close()
	}
}

// stubborn is a source that ignores its context.
type stubborn struct{ hold chan struct{} }

func (s stubborn) Keys(context.Context, string) (hmacsig.Keyring, error) {
	<-s.hold
	return hmacsig.Keyring{}, hmacsig.ErrUnknownKey
}

// Timeout bounds a source that ignores its context, and such lookups do not pile
// up.
func TestCacheTimeoutOfAStubbornSource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		c := cache(
			t,
			hmacsig.CacheConfig{Source: stubborn{hold}, Timeout: time.Second, MaxLoads: 2},
		)
		for i, want := range []time.Duration{time.Second, time.Second, 0, 0} {
			start := time.Now()
			_, err := c.Keys(t.Context(), fmt.Sprint(i))
			require.Error(t, err)
			require.NotErrorIs(t, err, hmacsig.ErrUnknownKey, "503 and not 401")
			require.Equal(t, want, time.Since(start), "at most two are under way")
		}
		start := time.Now()
		_, err := c.Keys(t.Context(), "0")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Zero(t, time.Since(start), "nobody waits for it a second time")
		close(hold)
		synctest.Wait()
		_, err = c.Keys(t.Context(), "0")
		require.ErrorIs(t, err, hmacsig.ErrUnknownKey, "the source is back, and asked again")
	})
}

// A claim that could not be settled is told of whichever package made the gate.
func TestUnsettledClaimsAreTold(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	store := &answering{state: hmacsig.Claimed, settled: make(chan context.Context, 9)}
	codes, onEvent := collect()
	v := custom(
		t,
		hmacsig.OpsMantik(),
		s,
		func(c *hmacsig.Config) { c.Replay, c.OnEvent = store, onEvent },
	)
	store.onSettle = io.ErrClosedPipe
	serve(v.Wrap(status(http.StatusOK)), signAt(t, hmacsig.OpsMantik(), s, time.Now(), "{}"))
	require.Equal(t, []string{hmacsig.CodeSignatureVerified, hmacsig.CodeClaimNotSettled}, codes())
}
