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
	own := httptest.NewRequest(http.MethodPost, "/", nil)
	own.Header.Set("Origin", "http://localhost:8090")
	program := httptest.NewRequest(http.MethodPost, "/webhook", nil)
	for r, want := range map[*http.Request]int{own: 200, program: 401} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		require.Equal(t, want, w.Code, r.URL.Path)
	}
	t.Setenv("ALLOWED_ORIGINS", "")
	_, err = newHandler()
	require.ErrorContains(t, err, "ALLOWED_ORIGINS")
}
