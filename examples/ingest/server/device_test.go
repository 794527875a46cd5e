package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/gates"
)

var quoted = regexp.MustCompile(`challenge="([^"]+)"`)

// dbsc signs a challenge as browsers do that can bind a session.
func dbsc(t *testing.T, key *ecdsa.PrivateKey, challenge string) string {
	t.Helper()
	enc := base64.RawURLEncoding.EncodeToString
	point, err := key.PublicKey.Bytes()
	require.NoError(t, err)
	head := `{"typ":"dbsc+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"` +
		enc(point[1:33]) + `","y":"` + enc(point[33:]) + `"}}`
	text := enc([]byte(head)) + "." + enc([]byte(`{"jti":"`+challenge+`"}`))
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	require.NoError(t, err)
	mac := make([]byte, 64)
	r.FillBytes(mac[:32])
	s.FillBytes(mac[32:])
	return text + "." + enc(mac)
}

// A browser that can binds its session at the sign-in. From then on the session's
// cookie alone, which is what a thief copies from a log, opens nothing.
func TestABoundSessionNeedsItsDevice(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	got := r.do(http.MethodPost, "/auth/login", `{"email":"rep@example.test","password":"`+adminPassword+`"}`)
	require.Equal(t, 200, got.Status, got.Body)
	cookie := got.cookie(t)
	offer := quoted.FindStringSubmatch(got.Header.Get("Secure-Session-Registration"))
	require.Len(t, offer, 2)
	const events = "/api/sites/" + siteA + "/events"
	require.Equal(t, 200, r.do(http.MethodGet, events, "", "Cookie", cookie).Status, "not bound yet")

	got = r.do(http.MethodPost, gates.DevicePath, "", "Cookie", cookie,
		"Secure-Session-Response", dbsc(t, key, offer[1]))
	require.Equal(t, 200, got.Status, got.Body)
	var told struct {
		Refresh string `json:"refresh_url"`
	}
	require.NoError(t, json.Unmarshal([]byte(got.Body), &told))
	require.Equal(t, gates.DeviceRefreshPath, told.Refresh)
	device := got.cookie(t)
	require.True(t, strings.HasPrefix(device, "__Host-device="))

	for path, method := range map[string]string{
		events: http.MethodGet, "/auth/sessions": http.MethodGet, "/auth/totp": http.MethodPost,
		"/auth/sessions/X": http.MethodDelete,
	} {
		got = r.do(method, path, "", "Cookie", cookie)
		require.Equal(t, 401, got.Status, path)
		require.Contains(t, got.Body, "device_proof_missing", path)
	}
	require.Equal(t, 200, r.do(http.MethodGet, events, "", "Cookie", cookie+"; "+device).Status)
	require.Equal(t, 200, r.do(http.MethodGet, "/auth/sessions", "", "Cookie", cookie+"; "+device).Status)
	require.Equal(t, 200, r.do(http.MethodPost, "/auth/logout", "", "Cookie", cookie).Status,
		"signing out harms nobody")
}
