package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAClientDoesNotChooseItsAddress(t *testing.T) {
	t.Parallel()
	handler, err := newHandler()
	require.NoError(t, err)
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/whoami", http.NoBody)
	r.RemoteAddr = "192.0.2.7:4711"
	r.Header.Set("X-Forwarded-For", "203.0.113.99")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	require.Regexp(t, `^192\.0\.2\.7 `, w.Body.String())
}
