package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheLogHoldsNothingPersonal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	handler, err := newHandler(&out, bytes.Repeat([]byte{1}, 32))
	require.NoError(t, err)
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/orders/7?token=s3cret-of-ada", http.NoBody)
	r.RemoteAddr = "203.0.113.9:4711"
	handler.ServeHTTP(httptest.NewRecorder(), r)
	for _, private := range []string{"ada@example.com", "hunter2", "s3cret", "203.0.113.9"} {
		require.NotContains(t, out.String(), private)
	}
	for _, kept := range []string{`"route":"GET /orders/{id}"`, `"status":404`, `"client":"[ip:`} {
		require.Contains(t, out.String(), kept)
	}
}
