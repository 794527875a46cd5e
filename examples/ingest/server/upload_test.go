package server_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func zip(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

func TestContentEncodings(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	bomb := view(`"el":""`, `"el":"`+strings.Repeat("x", 10<<20)+`"`)
	for name, row := range map[string]struct {
		body, encoding string
		status         int
	}{
		"gzip":      {zip(t, view()), "gzip", 202},
		"identity":  {view(), "identity", 202},
		"a bomb":    {zip(t, bomb), "gzip", 413},
		"not gzip":  {view(), "gzip", 400},
		"cut short": {zip(t, view())[:30], "gzip", 400},
		"deflate":   {view(), "deflate", 415},
		"brotli":    {view(), "br", 415},
		"twice":     {zip(t, zip(t, view())), "gzip, gzip", 415},
	} {
		got := r.do(http.MethodPost, "/api/sync", row.body, "Origin", originA, "Content-Encoding", row.encoding)
		require.Equal(t, row.status, got.Status, "%s: %s", name, got.Body)
	}
	body := call("33a11c86-2371-4af7-8580-e3f78f56d6a2")
	headers := append(sign(siteA, secretA, body, time.Now()), "Content-Encoding", "gzip")
	require.Equal(t, 415, r.do(http.MethodPost, "/api/call-event/v2", body, headers...).Status)
}

func TestTheSameEventIDWithOtherContentIsAConflict(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	const id = "33a11c86-2371-4af7-8580-e3f78f56d6a2"
	send := func(body string, ago time.Duration) answer {
		return r.do(http.MethodPost, "/api/call-event/v2", body, sign(siteA, secretA, body, time.Now().Add(-ago))...)
	}
	require.Equal(t, 202, send(call(id), 0).Status)
	got := send(strings.Replace(call(id), "+905551112233", "+905551110000", 1), 0)
	require.Equal(t, 409, got.Status, got.Body)
	require.Equal(t, "event_id_conflict", got.Code())
	require.Equal(t, 202, send(call(strings.ToUpper(id)), 5*time.Second).Status, "the same call, again")
	require.Equal(t, 1, r.stored("calls"))
	require.Equal(t, []string{"+905551112233"}, r.list(t.Context(), `SELECT phone FROM calls`))
}

// Bodies that come half way and then wait hold a bounded part of the memory, and
// one address cannot take all places.
func TestHalfOpenUploadsAreBounded(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	half := func() {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(r.URL, "http://"))
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "POST /api/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n{")
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
	}
	require.Eventually(t, func() bool {
		for range 70 { // again, should the machine be so slow that some gave up
			half()
		}
		got := r.do(http.MethodPost, "/api/sync", view(), "Origin", originA)
		return got.Status == 503 && got.Code() == "uploads_busy" && got.Header.Get("Retry-After") != ""
	}, 30*time.Second, 100*time.Millisecond)
	require.Equal(t, 200, r.do(http.MethodGet, "/healthz", "").Status)
	require.Eventually(t, func() bool {
		return r.do(http.MethodPost, "/api/sync", view(), "Origin", originA).Status == 202
	}, 30*time.Second, 100*time.Millisecond, "they are given up in time")
}
