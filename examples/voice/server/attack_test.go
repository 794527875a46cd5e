package server_test

import (
	"crypto/rand"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/voice/recording"
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
	signURL := func(r *http.Request, _ []byte, at time.Time) error {
		signed, err := s.signURL(t, r.Method, r.URL.Path, at)
		if err == nil {
			r.URL, err = url.ParseRequestURI(signed)
			r.RequestURI = signed
		}
		return err
	}
	limited := func(c *server.Config) { c.PerMinute = 40 }
	user := func(name string) gatetest.SignIn {
		return func(tb testing.TB, h http.Handler) func(*http.Request) { return signIn(tb, h, name) }
	}
	gatetest.Run(t, gatetest.Suite{
		New: func(tb testing.TB, _ io.Writer) http.Handler {
			tb.Helper()
			s = newSite(tb, limited)
			s.record(tb, track, 1)
			s.record(tb, recording.Track{Site: "other", Call: "c1", ID: "t1"}, 1)
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
			server.CodeForeignPage: {"foreign_page", "cross_site"},
		},
		Served: newSite(t, limited).Served(),
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
				Pattern: "GET /sites/{site_id}/recordings", Request: "GET /sites/shop/recordings",
				Other: "/sites/other/recordings",
			},
			{
				Pattern: "POST /sites/{site_id}/recordings/{call}/{track}/link",
				Request: "POST /sites/shop/recordings/c1/t1/link", Other: "/sites/other/recordings/c1/t1/link",
			},
			{
				Pattern: "PUT /sites/{site_id}/recordings/{call}/transcript",
				Request: "PUT /sites/shop/recordings/c1/transcript",
				Other:   "/sites/other/recordings/c1/transcript",
				Header:  http.Header{"Content-Type": {"text/plain"}}, Body: "hello",
				MaxBody: recording.MaxTranscript,
			},
			{
				Pattern: "GET /sites/{site_id}/recordings/{call}/transcript",
				Request: "GET /sites/shop/recordings/c1/transcript",
				Other:   "/sites/other/recordings/c1/transcript",
				Status:  []int{http.StatusNotFound}, // nobody has written one
			},
			{
				Pattern: "DELETE /sites/{site_id}/recordings/{call}",
				Request: "DELETE /sites/shop/recordings/c1", Other: "/sites/other/recordings/c1",
			},
			{
				Pattern: "GET /recordings/{site_id}/{call}/{track}", Request: "GET /recordings/shop/c1/t1",
				Public: true, Sign: signURL, Accept: gatetest.Accepted{
					"altered body":         "there is none",
					"signed an hour ahead": "refused as a link that lives for longer than 5 minutes",
					"replayed request":     "a player fetches one recording in many ranges",
				},
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
