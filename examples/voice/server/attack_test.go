package server_test

import (
	"crypto/rand"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/voice/sdp"
	"github.com/opsmantik/sallyport/examples/voice/server"
	"github.com/opsmantik/sallyport/tools/gatetest"
)

// TestEveryRouteHolds tries every attack of the kit on every route.
func TestEveryRouteHolds(t *testing.T) {
	t.Parallel()
	var s *site
	c := newCaller(t)
	sign := func(r *http.Request, _ []byte, at time.Time) error {
		id := make([]byte, 16)
		_, _ = rand.Read(id)
		r.Header.Set("Authorization", "Bearer "+s.sign(t, map[string]any{
			"iss": "voice", "aud": "voice-media", "sub": "ada", "site": "shop", "room": "r1",
			"iat": at.Unix(), "nbf": at.Unix(), "exp": at.Unix() + 60,
			"jti": base64.RawURLEncoding.EncodeToString(id),
			"cnf": map[string]string{"x5t#S256": base64.RawURLEncoding.EncodeToString(c.certificate[:])},
		}))
		return nil
	}
	const limit = 40
	user := func(name string) gatetest.SignIn {
		return func(tb testing.TB, h http.Handler) func(*http.Request) { return signIn(tb, h, name) }
	}
	gatetest.Run(t, gatetest.Suite{
		New: func(tb testing.TB, _ io.Writer) http.Handler {
			tb.Helper()
			s = newSite(tb, limit)
			return s.Handler()
		},
		Listed: "https://page.example.org", Own: "https://voice.example.org",
		SignIn: [2]gatetest.SignIn{user("ada"), user("eve")},
		SignOut: func(tb testing.TB, h http.Handler, user func(*http.Request)) {
			r := httptest.NewRequest(http.MethodPost, "/logout", nil)
			user(r)
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			require.Equal(tb, http.StatusNoContent, rec.Code)
		},
		Codes: map[string][]string{
			server.CodeForeignPage: {"foreign_page"},
		},
		Served: newSite(t, limit).Served(),
		Routes: []gatetest.Route{
			{Pattern: "GET /", Request: "GET /", Public: true, Accept: gatetest.Accepted{
				"cors": "a page that is the same for everybody",
			}},
			{Pattern: "POST /login", Public: true, Body: `{"user":"ada"}`, MaxBody: 1024},
			{Pattern: "POST /logout"},
			{
				Pattern: "POST /sites/{site_id}/rooms/{room}/token",
				Request: "POST /sites/shop/rooms/r1/token", Other: "/sites/other/rooms/r1/token",
				Body: `{"fingerprint":"` + sdp.Fingerprint(c.certificate) + `"}`, MaxBody: 1024,
			},
			{
				Pattern: "POST /sites/{site_id}/rooms/{room}/offer",
				Request: "POST /sites/shop/rooms/r1/offer", Public: true, Sign: sign,
				Header: http.Header{"Content-Type": {"application/sdp"}}, Body: c.offer,
				MaxBody: sdp.MaxSize, Accept: gatetest.Accepted{
					"altered body": "the token names the certificate, and package sdp reads the rest",
				},
			},
		},
	})
}
