package gatetest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/tools/gatetest"
	"github.com/stretchr/testify/require"
)

// suite declares the server of this package, with one part of it replaced.
func suite(t testing.TB, change func(*parts)) gatetest.Suite {
	t.Helper()
	return gatetest.Suite{
		New: func(tb testing.TB, log io.Writer) http.Handler {
			p, manager := sound(tb)
			change(p)
			return newServer(p, manager, log)
		},
		Listed: listed, Own: own, Served: served,
		SignIn: [2]gatetest.SignIn{signIn("alice"), signIn("bob")}, SignOut: signOut,
		Routes: []gatetest.Route{
			{Pattern: "GET /healthz", Public: true, Accept: gatetest.Accepted{
				"cors": "it says nothing that a page could not know",
			}},
			{
				Pattern: "POST /events", Public: true, Browser: true, Body: `{"n":1}`,
				Limit: limit, MaxBody: maxBody,
			},
			{Pattern: "GET /events", Public: true, Browser: true},
			{
				Pattern: "POST /webhooks/paid", Public: true, Body: `{"n":1}`, Sign: sign(t),
				MaxBody: maxBody, Limit: limit,
			},
			{
				Pattern: "GET /sites/{site_id}/orders", Request: "GET /sites/shop-a/orders",
				Other: "/sites/shop-b/orders",
			},
			{
				Pattern: "POST /sites/{site_id}/orders", Request: "POST /sites/shop-a/orders",
				Other: "/sites/shop-b/orders", Body: `{}`, MaxBody: maxBody,
			},
		},
	}
}

func signIn(user string) gatetest.SignIn {
	return func(tb testing.TB, server http.Handler) func(*http.Request) {
		tb.Helper()
		w := httptest.NewRecorder()
		server.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/login?user="+user, nil))
		cookies := w.Result().Cookies()
		require.Len(tb, cookies, 1)
		return func(r *http.Request) { r.AddCookie(cookies[0]) }
	}
}

func signOut(_ testing.TB, server http.Handler, user func(*http.Request)) {
	r := httptest.NewRequest(http.MethodPost, "/logout", nil)
	user(r)
	server.ServeHTTP(httptest.NewRecorder(), r)
}

func sign(t testing.TB) func(*http.Request, []byte, time.Time) error {
	t.Helper()
	signer, err := hmacsig.NewSigner(hmacsig.SignerConfig{
		Scheme: hmacsig.OpsMantik(), KeyID: "shop", Secret: siteSecret(t),
	})
	require.NoError(t, err)
	return func(r *http.Request, _ []byte, at time.Time) error { return signer.SignAt(r, at) }
}

func TestSoundServerWithstands(t *testing.T) {
	t.Parallel()
	gatetest.Run(t, suite(t, func(*parts) {}))
}

func TestSoundServerWithstandsOverLoopback(t *testing.T) {
	t.Parallel()
	s := suite(t, func(*parts) {})
	s.Loopback = true
	gatetest.Run(t, s)
}
