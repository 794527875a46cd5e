package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVisitsAreCounted(t *testing.T) {
	handler, err := newHandler()
	require.NoError(t, err)
	do := func(method, path, cookie string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("Cookie", cookie)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	require.Equal(t, 401, do(http.MethodGet, "/", "").Code)
	cookies := do(http.MethodPost, "/login", "").Result().Cookies()
	require.Len(t, cookies, 1)
	cookie := cookies[0].Name + "=" + cookies[0].Value
	require.Equal(t, "visit 1\n", do(http.MethodGet, "/", cookie).Body.String())
	require.Equal(t, "visit 2\n", do(http.MethodGet, "/", cookie).Body.String())
}
