package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheEleventhRequestIsRefused(t *testing.T) {
	handler, err := newHandler()
	require.NoError(t, err)
	for i := range 11 {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if i < 10 {
			require.Equal(t, 200, w.Code)
			continue
		}
		require.Equal(t, 429, w.Code)
		require.NotEmpty(t, w.Header().Get("Retry-After"))
	}
}
