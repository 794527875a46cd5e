package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzUnauthenticated sends anything to the routes that nobody has to sign in for. None
// may panic, or answer 5xx but the 503 that a code explains.
func FuzzUnauthenticated(f *testing.F) {
	targets := []string{
		"POST /api/sync", "OPTIONS /api/sync", "POST /api/call-event/v2", "POST /api/sync/worker",
		"POST /auth/login", "POST /auth/logout", "POST /auth/totp", "GET /auth/me", "GET /healthz", "GET /readyz",
		"GET /", "POST /sign-in", "GET /api/sites/" + siteA + "/calls", "GET /metrics",
	}
	for i := range targets {
		f.Add(uint8(i), "", "application/json", originA, view(siteA, siteB))
		f.Add(uint8(i), "?a=%zz&site_id="+siteA, "application/x-www-form-urlencoded", "null", "email=a&password=b")
	}
	f.Add(uint8(4), "", "application/json", originA, `{"email":"admin@example.test","password":"x"}`)
	s := configured(f)
	s.RatePerMinute = 1_000_000
	handler := run(f, s).srv.Gated()
	f.Fuzz(func(t *testing.T, at uint8, query, contentType, origin, body string) {
		method, path, _ := strings.Cut(targets[int(at)%len(targets)], " ")
		r := httptest.NewRequest(method, "http://server.invalid"+path, strings.NewReader(body))
		r.URL.RawQuery = strings.TrimPrefix(query, "?")
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Origin", origin)
		for name, value := range map[string]string{
			"X-Ops-Site-Id": siteA, "X-Ops-Ts": query, "X-Ops-Signature": body, "Upstash-Signature": body,
			"Authorization": query, "Cookie": "__Host-Http-session=" + query,
		} {
			if len(value) < 2048 {
				r.Header.Set(name, value)
			}
		}
		w := httptest.NewRecorder()
		began := time.Now()
		handler.ServeHTTP(w, r)
		require.True(t, w.Code < 500 || w.Code == http.StatusServiceUnavailable, "%d %s", w.Code, w.Body)
		require.Less(t, time.Since(began), time.Minute)
	})
}
