package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/hmacsigtest"
)

func TestHandler(t *testing.T) {
	t.Parallel()
	secret := hmacsig.Generate()
	handler, err := newHandler(secret)
	require.NoError(t, err)
	forge := hmacsigtest.New(t, hmacsig.GitHub(), "", secret)
	request := func(method, path, origin string) *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		return r
	}
	const app, evil = "https://app.example.com", "https://evil.example"
	preflight := request("OPTIONS", "/login", app)
	preflight.Header.Set("Access-Control-Request-Method", "POST")
	preflight.Header.Set("Access-Control-Request-Headers", "content-type")
	rows := []struct {
		name    string
		request *http.Request
		want    int
	}{
		{"another site's page", request("POST", "/login", evil), 403},
		{"preflight", preflight, 204},
		{"nobody", request("GET", "/me", app), 401},
		{"sign-in", request("POST", "/login", app), 200},
		{"signed webhook", forge.Valid("POST", "/webhooks/github", "{}"), 204},
		{"unsigned webhook", request("POST", "/webhooks/github", ""), 401},
		{"no such page", request("GET", "/none", app), 404},
	}
	for _, row := range rows {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, row.request)
		require.Equal(t, row.want, w.Code, row.name)
	}
}
