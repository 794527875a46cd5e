package server_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/voice/media"
	"github.com/opsmantik/sallyport/examples/voice/sdp"
	"github.com/opsmantik/sallyport/examples/voice/server"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/envelope"
)

// trail keeps audit records, and can be told to fail.
type trail struct {
	mu      sync.Mutex
	records []audit.Record
	err     error
}

func (l *trail) Append(_ context.Context, r audit.Record) (audit.Receipt, error) {
	if _, err := r.Encode(); err != nil {
		return audit.Receipt{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return audit.Receipt{}, l.err
	}
	l.records = append(l.records, r)
	return audit.Receipt{}, nil
}

// last returns the code and the outcome of the newest record.
func (l *trail) last() (code string, outcome audit.Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.records) == 0 {
		return "", ""
	}
	r := l.records[len(l.records)-1]
	return r.Fields[0].Value, r.Outcome
}

var members = map[string]map[string]tenancy.Role{
	"ada": {"shop": server.RoleManager}, "bob": {"shop": server.RoleAgent},
	"eve": {"other": server.RoleManager},
}

type site struct {
	*server.Server
	trail  *trail
	events chan sallyport.Event
	bucket *bucket
}

func newVault(t testing.TB) *envelope.Vault {
	t.Helper()
	kek, err := envelope.LocalKEK(filepath.Join(t.TempDir(), "kek"))
	require.NoError(t, err)
	keys, err := envelope.NewMemory(envelope.MemoryConfig{})
	require.NoError(t, err)
	vault, err := envelope.New(envelope.Config{KEK: kek, Store: keys})
	require.NoError(t, err)
	return vault
}

func newSocket(t testing.TB) net.PacketConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	return conn
}

func newSite(t testing.TB, edits ...func(*server.Config)) *site {
	t.Helper()
	s := &site{
		trail: &trail{}, events: make(chan sallyport.Event, 1000),
		bucket: &bucket{objects: map[string][]byte{}},
	}
	cfg := server.Config{
		Conn: newSocket(t), Members: members, Audit: s.trail, Vault: newVault(t), Store: s.bucket,
		OnEvent: func(_ context.Context, e sallyport.Event) {
			select {
			case s.events <- e:
			default:
			}
		},
	}
	for _, edit := range edits {
		edit(&cfg)
	}
	var err error
	s.Server, err = server.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// do sends a request and returns the status and the body.
func (s *site) do(t testing.TB, path, mediaType, body string, edit func(*http.Request)) (int, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", mediaType)
	if edit != nil {
		edit(r)
	}
	rec := httptest.NewRecorder()
	s.Handler().ServeHTTP(rec, r)
	return rec.Code, rec.Body.String()
}

func signIn(t testing.TB, h http.Handler, user string) func(*http.Request) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/login", strings.NewReader(`{"user":"`+user+`"}`))
	r.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	require.Equal(t, http.StatusNoContent, rec.Code, rec.Body)
	cookie := rec.Result().Cookies()[0]
	return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value}) }
}

// code is the code of a problem document.
func code(t testing.TB, body string) string {
	t.Helper()
	var problem struct{ Code string }
	require.NoError(t, json.Unmarshal([]byte(body), &problem), body)
	return problem.Code
}

// caller has a certificate and an offer of its own.
type caller struct {
	*webrtc.PeerConnection
	certificate [32]byte
	offer       string
}

func newCaller(t testing.TB) *caller {
	t.Helper()
	e := webrtc.SettingEngine{}
	e.SetIncludeLoopbackCandidate(true)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(e)).NewPeerConnection(webrtc.Configuration{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = pc.Close() })
	_, err = pc.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio)
	require.NoError(t, err)
	offer, err := pc.CreateOffer(nil)
	require.NoError(t, err)
	gathered := webrtc.GatheringCompletePromise(pc)
	require.NoError(t, pc.SetLocalDescription(offer))
	<-gathered
	c := &caller{PeerConnection: pc, offer: pc.LocalDescription().SDP}
	_, text, ok := strings.Cut(c.offer, "a=fingerprint:sha-256 ")
	require.True(t, ok)
	raw, err := hex.DecodeString(strings.ReplaceAll(text[:95], ":", ""))
	require.NoError(t, err)
	c.certificate = [32]byte(raw)
	return c
}

// token asks for a token as the page does.
func (s *site) token(t testing.TB, room string, c *caller, user func(*http.Request)) string {
	t.Helper()
	status, body := s.do(t, "/sites/shop/rooms/"+room+"/token", "application/json",
		`{"fingerprint":"`+sdp.Fingerprint(c.certificate)+`"}`, user)
	require.Equal(t, http.StatusOK, status, body)
	var answer struct{ Token string }
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	return answer.Token
}

func (s *site) enter(t testing.TB, room, token, offer string) (int, string) {
	t.Helper()
	return s.do(t, "/sites/shop/rooms/"+room+"/offer", "application/sdp", offer,
		func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
}

func TestATokenOpensOneSession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada, c := signIn(t, s.Handler(), "ada"), newCaller(t)
	token := s.token(t, "r1", c, ada)
	last, outcome := s.trail.last()
	require.Equal(t, server.CodeTokenIssued, last)
	require.Equal(t, audit.OutcomeSuccess, outcome)

	// What is refused does not use it up.
	status, body := s.enter(t, "r1", token, strings.ReplaceAll(c.offer, "UDP/TLS/RTP/SAVPF", "RTP/AVP"))
	require.Equal(t, 422, status, body)
	require.Equal(t, media.CodeDescriptionRefused, code(t, body))
	require.Contains(t, body, `"rule":"profile"`)
	require.Contains(t, body, `"line":`)
	last, outcome = s.trail.last()
	require.Equal(t, media.CodeDescriptionRefused, last)
	require.Equal(t, audit.OutcomeDenied, outcome)

	status, answer := s.enter(t, "r1", token, c.offer)
	require.Equal(t, http.StatusCreated, status, answer)
	last, _ = s.trail.last()
	require.Equal(t, media.CodeJoined, last)
	require.NoError(t, c.SetRemoteDescription(webrtc.SessionDescription{
		Type: webrtc.SDPTypeAnswer, SDP: answer,
	}))
	require.Eventually(t, func() bool {
		last, outcome := s.trail.last()
		return last == media.CodeConnected && outcome == audit.OutcomeSuccess
	}, 20*time.Second, 10*time.Millisecond)

	status, body = s.enter(t, "r1", token, newCaller(t).offer)
	require.Equal(t, http.StatusConflict, status)
	require.Equal(t, hmacsig.CodeReplayed, code(t, body))
	last, outcome = s.trail.last()
	require.Equal(t, hmacsig.CodeReplayed, last)
	require.Equal(t, audit.OutcomeDenied, outcome)

	status, _ = s.do(t, "/logout", "application/json", "{}", ada)
	require.Equal(t, http.StatusNoContent, status)
	require.Zero(t, s.Rooms().Len(), "who signs out is out of every call")
}

// sign makes a token with these claims, as whoever has the key could.
func (s *site) sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	key, ok := s.Keys().Signing(time.Now())
	require.True(t, ok)
	body, err := json.Marshal(claims)
	require.NoError(t, err)
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(body)
	mac := hmac.New(sha256.New, []byte(key.Secret.Reveal()))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// TestTokensRefused: each claim of a token is one that a token is refused for.
func TestTokensRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := newCaller(t)
	claims := func(edit map[string]any) map[string]any {
		now := time.Now().Unix()
		all := map[string]any{
			"iss": "voice", "aud": "voice-media", "sub": "ada", "site": "shop", "room": "r1",
			"iat": now, "nbf": now, "exp": now + 60, "jti": fmt.Sprintf("%032x", len(edit)+int(now)),
			"cnf": map[string]string{"x5t#S256": base64.RawURLEncoding.EncodeToString(c.certificate[:])},
		}
		maps.Copy(all, edit)
		return all
	}
	old := time.Now().Unix() - 120
	stranger := sha256.Sum256([]byte("another certificate"))
	for _, row := range []struct {
		name, code string
		status     int
		edit       map[string]any
	}{
		{"expired", hmacsig.CodeSignatureExpired, 401, map[string]any{"iat": old, "nbf": old, "exp": old + 60}},
		{"of another audience", hmacsig.CodeSignatureClaims, 401, map[string]any{"aud": "recordings"}},
		{"of another issuer", hmacsig.CodeSignatureClaims, 401, map[string]any{"iss": "somebody"}},
		{"for another room", hmacsig.CodeSignatureClaims, 401, map[string]any{"room": "r2"}},
		{"for another site", hmacsig.CodeSignatureClaims, 401, map[string]any{"site": "other"}},
		{"for another certificate", media.CodeDescriptionRefused, 422, map[string]any{
			"cnf": map[string]string{"x5t#S256": base64.RawURLEncoding.EncodeToString(stranger[:])},
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			status, body := s.enter(t, "r1", s.sign(t, claims(row.edit)), c.offer)
			require.Equal(t, row.code, code(t, body), body)
			require.Equal(t, row.status, status)
			last, outcome := s.trail.last()
			require.Equal(t, row.code, last)
			require.Equal(t, audit.OutcomeDenied, outcome)
		})
	}
	forged := s.sign(t, claims(nil))
	status, _ := s.enter(t, "r1", forged[:len(forged)-2]+"AA", c.offer)
	require.Equal(t, 401, status)
	status, body := s.enter(t, "r1", s.sign(t, claims(nil)), c.offer)
	require.Equal(t, http.StatusCreated, status, body, "and as it is it opens the room")
}

func TestTokensAMinute(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada, bob, c := signIn(t, s.Handler(), "ada"), signIn(t, s.Handler(), "bob"), newCaller(t)
	for range 5 {
		s.token(t, "r1", c, ada)
	}
	status, body := s.do(t, "/sites/shop/rooms/r1/token", "application/json", "{}", ada)
	require.Equal(t, http.StatusTooManyRequests, status)
	require.Equal(t, ratelimit.CodeRateLimited, code(t, body))
	last, outcome := s.trail.last()
	require.Equal(t, ratelimit.CodeRateLimited, last)
	require.Equal(t, audit.OutcomeDenied, outcome)
	s.token(t, "r1", c, bob)
}

func TestWhoGetsNoToken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada := signIn(t, s.Handler(), "ada")
	good := `{"fingerprint":"` + sdp.Fingerprint([32]byte{1}) + `"}`
	for _, row := range []struct {
		name, path, body, code string
		user                   func(*http.Request)
	}{
		{"nobody", "/sites/shop/rooms/r1/token", good, tenancy.CodeIdentityRequired, nil},
		{"a stranger", "/sites/other/rooms/r1/token", good, tenancy.CodeNotFound, ada},
		{"no fingerprint", "/sites/shop/rooms/r1/token", `{}`, server.CodeBodyInvalid, ada},
		{"a short one", "/sites/shop/rooms/r1/token", `{"fingerprint":"AB:CD"}`, server.CodeBodyInvalid, ada},
		{"no room", "/sites/shop/rooms/%20/token", good, server.CodeBodyInvalid, ada},
		{"a long body", "/sites/shop/rooms/r1/token", strings.Repeat(" ", 2000) + good, server.CodeBodyTooLarge, ada},
		{"an unknown user", "/login", `{"user":"mallory"}`, server.CodeUserUnknown, nil},
		{"no session", "/logout", `{}`, sessions.CodeRequired, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, body := s.do(t, row.path, "application/json", row.body, row.user)
			require.Equal(t, row.code, code(t, body))
			last, outcome := s.trail.last()
			require.Equal(t, row.code, last)
			require.Equal(t, audit.OutcomeDenied, outcome)
		})
	}
	status, _ := s.do(t, "/sites/shop/rooms/r1/token", "text/plain", good, ada)
	require.Equal(t, http.StatusBadRequest, status, "a form cannot send JSON")
	s.trail.err = io.ErrShortWrite
	status, body := s.do(t, "/sites/shop/rooms/r1/token", "application/json", good, signIn(t, s.Handler(), "bob"))
	require.Equal(t, http.StatusServiceUnavailable, status, "what is not recorded does not happen")
	require.False(t, bytes.Contains([]byte(body), []byte("token\":")))
}

func TestConfig(t *testing.T) {
	t.Parallel()
	_, err := server.New(server.Config{})
	require.Error(t, err)
	cfg := server.Config{
		Conn: newSocket(t), Members: members, Audit: &trail{}, Vault: newVault(t),
		Store: &bucket{objects: map[string][]byte{}}, LinkLifetime: time.Hour,
	}
	_, err = server.New(cfg)
	require.ErrorContains(t, err, "5 minutes")
	cfg.LinkLifetime, cfg.Vault, cfg.TURN = 0, nil, newSocket(t)
	_, err = server.New(cfg)
	require.ErrorContains(t, err, "Vault")
	require.ErrorContains(t, err, "Address", "of the TURN server")
	for _, socket := range []net.PacketConn{cfg.Conn, cfg.TURN} {
		require.ErrorIs(t, socket.Close(), net.ErrClosed)
	}
}
