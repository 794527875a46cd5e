package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/tools/gatetest"
)

func TestEveryRouteHolds(t *testing.T) {
	t.Parallel()
	gatetest.Run(t, gatetest.Suite{
		New: func(tb testing.TB, _ io.Writer) http.Handler { // a fresh server for each attack
			handler, err := newHandler()
			require.NoError(tb, err)
			return handler
		},
		Listed: "https://app.example.com", Own: "https://api.example.com",
		SignIn: [2]gatetest.SignIn{signIn, signIn},
		Served: []string{"POST /login", "GET /me"}, // all there are
		Routes: []gatetest.Route{
			{Pattern: "POST /login", Public: true, Browser: true, Limit: 60},
			{Pattern: "GET /me", Browser: true, Limit: 60},
		},
	})
}

// signIn signs somebody in, and returns what goes with their requests from then on.
func signIn(tb testing.TB, server http.Handler) func(*http.Request) {
	r := httptest.NewRequest(http.MethodPost, "/login", http.NoBody)
	r.Header.Set("Origin", "https://app.example.com") // without it: 403 origin_missing
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	require.Equal(tb, http.StatusOK, w.Code)
	return func(r *http.Request) {
		for _, cookie := range w.Result().Cookies() {
			r.AddCookie(cookie)
		}
	}
}
