package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnlyMembersSeeTheSite(t *testing.T) {
	handler, err := newHandler()
	require.NoError(t, err)
	for _, row := range []struct {
		user, path string
		want       int
	}{
		{"ada", "/sites/shop/calls", 200},
		{"ada", "/sites/bank/calls", 404},
		{"eve", "/sites/shop/calls", 404},
		{"", "/sites/shop/calls", 401},
	} {
		r := httptest.NewRequest(http.MethodGet, row.path, nil)
		r.Header.Set("X-User", row.user)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		require.Equal(t, row.want, w.Code, "%+v", row)
	}
}
