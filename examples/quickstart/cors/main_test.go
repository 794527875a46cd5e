package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnlyListedOriginsGetThrough(t *testing.T) {
	t.Setenv("ALLOWED_ORIGINS", "https://app.example.com")
	handler, err := newHandler()
	require.NoError(t, err)
	for origin, want := range map[string]int{"https://app.example.com": 200, "https://evil.example": 403} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("Origin", origin)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		require.Equal(t, want, w.Code, origin)
	}
	t.Setenv("ALLOWED_ORIGINS", "")
	_, err = newHandler()
	require.ErrorContains(t, err, "ALLOWED_ORIGINS")
}
