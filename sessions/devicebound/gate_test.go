package devicebound_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/sessions/devicebound"
)

// The guarantee: a copy is dead after the cookie's life, and the browser alive.
func TestACopiedSessionDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil)
		b := newBrowser(t, s)
		b.signIn()
		thief := b.copied()
		require.Equal(t, 200, thief.page(), "for as long as the copied cookie works")
		time.Sleep(5*time.Minute - 1)
		require.Equal(t, 200, thief.page())
		time.Sleep(time.Nanosecond)
		require.Equal(t, 401, thief.page())
		require.Equal(t, devicebound.CodeExpired, thief.code())
		require.Equal(t, 401, b.page(), "the browser too, until it proves itself")
		require.Equal(t, 200, b.refresh())
		require.Equal(t, 200, b.page())

		delete(thief.cookies, devicebound.DefaultCookie)
		s.events = nil
		require.Equal(t, 401, thief.do(http.MethodGet, "/page",
			"Secure-Session-Skipped", `unreachable;session_identifier="x", nonsense`))
		require.Equal(t, devicebound.CodeMissing, thief.code())
		require.Len(t, s.events, 1, "the attempt is an event")
		require.False(t, s.events[0].Allowed)
		require.Equal(t, "ada", s.events[0].Actor)
		d, ok := s.events[0].Detail.(devicebound.Decision)
		require.True(t, ok)
		require.Equal(t, []string{"unreachable", "other"}, d.Skipped)
		require.Equal(t, "ada", d.Session.User)
		// The thief asks for a proof, and cannot give one.
		require.Equal(t, 400, thief.refresh())
		require.Equal(t, devicebound.CodeProof, thief.code())
		require.Equal(t, 200, b.page())
	})
}

// Requests under way when the cookie changes still carry the one before.
func TestTheCookieBeforeWorksUntilItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil)
		b := newBrowser(t, s)
		b.signIn()
		before := b.copied()
		time.Sleep(4 * time.Minute)
		require.Equal(t, 200, b.refresh())
		require.NotEqual(t, before.cookies, b.cookies)
		require.Equal(t, 200, before.page())
		time.Sleep(time.Minute)
		require.Equal(t, 401, before.page())
		require.Equal(t, 200, b.page())
	})
}

// A browser without DBSC is let in as before, unless the level asks for more.
func TestPolicies(t *testing.T) {
	for name, tt := range map[string]struct {
		policy devicebound.Policy
		bound  bool
		after  time.Duration
		want   int
		code   string
	}{
		"preferred, unbound":         {devicebound.Preferred, false, 10 * time.Minute, 200, "device_unbound"},
		"preferred, bound":           {devicebound.Preferred, true, time.Minute, 200, "device_bound"},
		"preferred, bound and over":  {devicebound.Preferred, true, 10 * time.Minute, 401, "device_proof_expired"},
		"required, within window":    {devicebound.Required, false, time.Minute - 1, 200, "device_unbound"},
		"required, after the window": {devicebound.Required, false, time.Minute, 403, "device_binding_required"},
		"required, bound":            {devicebound.Required, true, time.Minute, 200, "device_bound"},
		"off, bound and over":        {devicebound.Off, true, 10 * time.Minute, 200, "device_binding_off"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, func(c *devicebound.Config[data]) {
					c.Policy = map[sallyport.Level]devicebound.Policy{sallyport.AAL2: tt.policy}
				})
				b := newBrowser(t, s)
				if tt.bound {
					b.signIn()
				} else {
					require.Equal(t, 200, b.do(http.MethodPost, "/login"))
				}
				require.Equal(t, 200, b.do(http.MethodPost, "/stepup"))
				time.Sleep(tt.after)
				s.events = nil
				require.Equal(t, tt.want, b.page())
				require.Equal(t, tt.code, s.codes())
			})
		})
	}
}

func TestAStepUpKeepsTheBinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil)
		b := newBrowser(t, s)
		b.signIn()
		require.Equal(t, 200, b.do(http.MethodPost, "/stepup"))
		require.Empty(t, b.header.Get("Secure-Session-Registration"), "a key is registered once")
		require.Equal(t, 200, b.page())
		time.Sleep(6 * time.Minute)
		require.Equal(t, 401, b.page())
		require.Equal(t, 200, b.refresh())
		require.Equal(t, 200, b.page())
	})
}

// The first sign-in reaches no level that is bound; the step-up offers it then.
func TestOfferedAtAStepUp(t *testing.T) {
	s := newSite(t, func(c *devicebound.Config[data]) {
		c.Policy = map[sallyport.Level]devicebound.Policy{
			sallyport.AAL1: devicebound.Off, sallyport.AAL2: devicebound.Required,
		}
	})
	b := newBrowser(t, s)
	require.Equal(t, 200, b.do(http.MethodPost, "/login"))
	require.Empty(t, b.header.Get("Secure-Session-Registration"))
	require.Equal(t, 200, b.do(http.MethodPost, "/stepup"))
	b.register()
	require.Equal(t, 200, b.page())
	require.Contains(t, s.codes(), "device_registered device_bound")
}

// A refresh that crosses a step-up must not cost the browser its key.
func TestARefreshThatCrossesAStepUp(t *testing.T) {
	s := newSite(t, nil)
	b := newBrowser(t, s)
	b.signIn()
	late := b.copied()
	require.Equal(t, 200, b.do(http.MethodPost, "/stepup"))
	require.Equal(t, 503, late.refresh())
	require.Equal(t, devicebound.CodeAgain, late.code())
	require.Equal(t, "1", late.header.Get("Retry-After"))
	require.Equal(t, 200, b.refresh())
}

// Once a session is over, the browser learns that its key is worthless.
func TestARefreshAfterTheEnd(t *testing.T) {
	s := newSite(t, nil)
	b := newBrowser(t, s)
	b.signIn()
	_, err := s.sess.EndUser(t.Context(), "ada")
	require.NoError(t, err)
	require.Equal(t, 401, b.refresh())
	require.Equal(t, sessions.CodeEnded, b.code())
	require.Equal(t, 401, b.page())
}

// Browsers refresh without anybody at the keyboard.
func TestRefreshingIsNoActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil)
		b := newBrowser(t, s)
		b.signIn()
		for range 7 {
			time.Sleep(4 * time.Minute)
			require.Equal(t, 200, b.refresh())
		}
		time.Sleep(2 * time.Minute)
		require.Equal(t, 401, b.refresh())
		require.Equal(t, sessions.CodeEnded, b.code())
	})
}

// Keys of both kinds, and more refreshes than the binding keeps tickets.
func TestManyRefreshes(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	s := newSite(t, nil)
	for _, b := range []*browser{newBrowser(t, s), newBrowser(t, s)} {
		b.signIn()
		for range 20 {
			require.Equal(t, 200, b.refresh())
			require.Equal(t, 200, b.page())
		}
	}
	b := newBrowser(t, s)
	b.key = key
	b.signIn()
	require.Equal(t, 200, b.refresh())
	require.Equal(t, 200, b.page())
	list, err := s.sess.List(t.Context(), "ada")
	require.NoError(t, err)
	require.Len(t, list, 3)
}

// Nothing but the browser's own requests reach the endpoints' meaning.
func TestEndpoints(t *testing.T) {
	s := newSite(t, nil)
	b := newBrowser(t, s)
	for _, path := range []string{"/session/device", "/session/device/refresh"} {
		require.Equal(t, 401, b.do(http.MethodPost, path), "nobody is signed in")
		require.Equal(t, sessions.CodeRequired, b.code())
	}
	b.signIn()
	for _, path := range []string{"/session/device", "/session/device/refresh"} {
		require.Equal(t, 405, b.do(http.MethodGet, path))
		require.Equal(t, "no-store", b.header.Get("Cache-Control"))
		require.Equal(t, "same-origin", b.header.Get("Cross-Origin-Resource-Policy"))
		require.Equal(t, "DENY", b.header.Get("X-Frame-Options"))
	}
	for name, header := range map[string][]string{
		"no id":         {},
		"another id":    {"Sec-Secure-Session-Id", `"x"`},
		"two ids":       {"Sec-Secure-Session-Id", `"` + b.id + `"`, "Sec-Secure-Session-Id", `"x"`},
		"empty id":      {"Sec-Secure-Session-Id", `""`},
		"unclosed id":   {"Sec-Secure-Session-Id", `"` + b.id},
		"trailing text": {"Sec-Secure-Session-Id", `"` + b.id + `"x`},
	} {
		require.Equal(t, 400, b.do(http.MethodPost, "/session/device/refresh", header...), name)
	}
	for name, id := range map[string]string{
		"quoted": `"` + b.id + `"`, "bare": b.id, "with parameters": `"` + b.id + `";a=b`,
	} {
		require.Equal(t, 403, b.do(http.MethodPost, "/session/device/refresh", "Sec-Secure-Session-Id", id), name)
		require.Contains(t, b.header.Get("Secure-Session-Challenge"), `;id="`+b.id+`"`)
	}
	require.Contains(t, s.codes(), "device_challenge")
}

func TestZeroGateRefuses(t *testing.T) {
	for name, g := range map[string]*devicebound.Gate[data]{"zero": {}, "nil": nil} {
		for _, h := range []http.Handler{
			g.Wrap(http.NotFoundHandler()), g.Register(), g.Refresh(),
		} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
			require.Equal(t, http.StatusServiceUnavailable, w.Code, name)
			require.Contains(t, w.Body.String(), devicebound.CodeNotConfigured)
		}
		_, err := g.Check(httptest.NewRequest(http.MethodPost, "/", nil))
		require.ErrorContains(t, err, devicebound.CodeNotConfigured)
		err = g.Offer(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", nil))
		require.ErrorContains(t, err, devicebound.CodeNotConfigured)
	}
}

func TestNewReportsEveryProblem(t *testing.T) {
	_, err := devicebound.New(devicebound.Config[data]{
		Cookie: "device", Life: time.Second, Window: time.Hour, RegisterPath: "x?", RefreshPath: "x?",
		Policy: map[sallyport.Level]devicebound.Policy{0: 9},
	})
	for _, field := range []string{
		"Sessions", "Binding", "Cookie", "Life", "Window", "RegisterPath", "RefreshPath", "Policy[0]",
	} {
		require.ErrorContains(t, err, "devicebound: "+field+":")
	}
	type lossy struct {
		device devicebound.Binding
	}
	_, err = devicebound.New(devicebound.Config[lossy]{
		Binding: func(l *lossy) *devicebound.Binding { return &l.device },
	})
	require.ErrorContains(t, err, "binds nobody")
	_, err = devicebound.New(devicebound.Config[lossy]{
		Binding: func(*lossy) *devicebound.Binding { return nil }, Cookie: "__Host-a b",
	})
	require.ErrorContains(t, err, "binds nobody")
	require.ErrorContains(t, err, "__Host-a b")
}

func TestConfigLimits(t *testing.T) {
	sess := newSite(t, nil).sess
	for name, tt := range map[string]struct {
		edit func(*devicebound.Config[data])
		ok   bool
	}{
		"least": {func(c *devicebound.Config[data]) { c.Life, c.Window = 5*time.Second, 5*time.Second }, true},
		"most": {func(c *devicebound.Config[data]) {
			c.Life, c.Window, c.RegisterPath = time.Hour, 10*time.Minute, "/a.B-9_~/c"
		}, true},
		"life":        {func(c *devicebound.Config[data]) { c.Life = time.Hour + 1 }, false},
		"short life":  {func(c *devicebound.Config[data]) { c.Life = 5*time.Second - 1 }, false},
		"window":      {func(c *devicebound.Config[data]) { c.Window = 10*time.Minute + 1 }, false},
		"no window":   {func(c *devicebound.Config[data]) { c.Window = 5*time.Second - 1 }, false},
		"other host":  {func(c *devicebound.Config[data]) { c.RefreshPath = "//evil.example" }, false},
		"quote":       {func(c *devicebound.Config[data]) { c.RefreshPath = `/a"` }, false},
		"relative":    {func(c *devicebound.Config[data]) { c.RefreshPath = "a" }, false},
		"Http prefix": {func(c *devicebound.Config[data]) { c.Cookie = "__Host-Http-device" }, false},
		"same path":   {func(c *devicebound.Config[data]) { c.RefreshPath = "/session/device" }, false},
		"policy":      {func(c *devicebound.Config[data]) { c.Policy = map[sallyport.Level]devicebound.Policy{1: 3} }, false},
		"policy of 4": {func(c *devicebound.Config[data]) { c.Policy = map[sallyport.Level]devicebound.Policy{4: 1} }, false},
	} {
		cfg := devicebound.Config[data]{
			Sessions: sess, Binding: func(d *data) *devicebound.Binding { return &d.Device },
		}
		tt.edit(&cfg)
		_, err := devicebound.New(cfg)
		require.Equal(t, tt.ok, err == nil, "%s: %v", name, err)
	}
}

// A refusal of sessions keeps its own answer; one of ours can be replaced.
func TestOnReject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(c *devicebound.Config[data]) {
			c.OnReject = func(w http.ResponseWriter, _ *http.Request, refused *sallyport.Refusal) {
				require.NotEmpty(t, w.Header().Get("WWW-Authenticate"))
				require.Equal(t, devicebound.CodeExpired, refused.Code)
				w.WriteHeader(http.StatusTeapot)
			}
		})
		b := newBrowser(t, s)
		require.Equal(t, 401, b.page())
		b.signIn()
		time.Sleep(5 * time.Minute)
		require.Equal(t, 418, b.page())
	})
}

// The reads of a token that a step-up replaced are bound as well.
func TestARotatedTokenIsBound(t *testing.T) {
	s := newSite(t, nil)
	b := newBrowser(t, s)
	b.signIn()
	tab := b.copied()
	require.Equal(t, 200, b.do(http.MethodPost, "/stepup"))
	require.Equal(t, 200, tab.page())
	delete(tab.cookies, devicebound.DefaultCookie)
	require.Equal(t, 401, tab.page())
}

func TestDataWithoutRoom(t *testing.T) {
	store, err := sessions.NewMemory(sessions.MemoryConfig{})
	require.NoError(t, err)
	sess, err := sessions.New[data](sessions.Config{Store: store, MaxData: 200})
	require.NoError(t, err)
	s := newSite(t, func(c *devicebound.Config[data]) { c.Sessions = sess })
	s.sess = sess
	outer := http.NewServeMux()
	outer.Handle("/session/device", s.gate.Register())
	outer.Handle("/", sess.Load(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		login := sessions.Login{User: "ada", Level: sallyport.AAL1}
		require.NoError(t, sess.Start(context.WithoutCancel(r.Context()), login, data{}))
		require.NoError(t, s.gate.Offer(w, r))
	})))
	s.Handler = outer
	b := newBrowser(t, s)
	require.Equal(t, 200, b.do(http.MethodPost, "/login"))
	proof := b.proof(b.challenge(), true)
	require.Equal(t, 503, b.do(http.MethodPost, "/session/device", "Secure-Session-Response", proof))
	require.Equal(t, devicebound.CodeNoRoom, b.code())
}
