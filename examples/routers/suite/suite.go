// Package suite runs a mounted route behind every gate of sallyport.
package suite

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/cors"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tools/gatetest/adaptertest"
	"github.com/stretchr/testify/require"
)

// Gate is how every gate of sallyport wraps a handler.
type Gate = func(http.Handler) http.Handler

// Mount returns a framework's handler with gate around POST /adapter/{site}.
type Mount = func(gate Gate) http.Handler

// Handler answers as adaptertest asks, in net/http's way.
func Handler(w http.ResponseWriter, r *http.Request) {
	answer := adaptertest.Handle(r)
	if answer.Failed {
		http.Error(w, "failed", answer.Status)
		return
	}
	w.WriteHeader(answer.Status)
	_, _ = io.WriteString(w, answer.Body)
}

// Request is for frameworks that give their handlers a context and a body only.
func Request(ctx context.Context, body []byte) *http.Request {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(body))
	if err != nil {
		panic(err) // a constant method and URL
	}
	return r
}

// Run tries every gate.
func Run(t *testing.T, mount Mount) {
	t.Helper()
	RunWithoutContext(t, mount)
	t.Run("sessions", func(t *testing.T) { sessionsPass(t, mount) })
	t.Run("tenancy", func(t *testing.T) { tenancyPass(t, mount) })
}

// RunWithoutContext tries the gates that need not reach the handler.
func RunWithoutContext(t *testing.T, mount Mount) {
	t.Helper()
	t.Run("cors", func(t *testing.T) { corsPass(t, mount) })
	t.Run("ratelimit", func(t *testing.T) { ratelimitPass(t, mount) })
	t.Run("hmacsig", func(t *testing.T) { hmacsigPass(t, mount) })
}

// serve starts the framework with a gate in front of answer.
func serve(t *testing.T, mount Mount, gate Gate, answer func(*http.Request) adaptertest.Answer) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(mount(func(next http.Handler) http.Handler {
		return gate(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(adaptertest.With(r.Context(), answer)))
		}))
	}))
	t.Cleanup(server.Close)
	return server
}

// post sends a request and returns the status and what came.
func post(t *testing.T, server *httptest.Server, body string, prepare func(*http.Request)) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, server.URL+"/adapter/north", strings.NewReader(body))
	require.NoError(t, err)
	prepare(r)
	response, err := server.Client().Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text), response.Header
}

func done(*http.Request) adaptertest.Answer {
	return adaptertest.Answer{Status: http.StatusCreated, Body: "done"}
}

func corsPass(t *testing.T, mount Mount) {
	gate, err := cors.New(cors.Config{
		Origins: []string{"https://app.example"}, OwnOrigins: []string{"none"},
	})
	require.NoError(t, err)
	server := serve(t, mount, gate.Wrap, done)
	origin := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Origin", value) }
	}
	status, body, _ := post(t, server, "x", origin("https://evil.example"))
	require.Equal(t, http.StatusForbidden, status)
	require.Contains(t, body, cors.CodeOriginNotListed)
	status, _, header := post(t, server, "x", origin("https://app.example"))
	require.Equal(t, http.StatusCreated, status)
	require.Equal(t, "https://app.example", header.Get("Access-Control-Allow-Origin"))
}

func ratelimitPass(t *testing.T, mount Mount) {
	address, err := clientaddr.New(clientaddr.Config{})
	require.NoError(t, err)
	limiter, err := ratelimit.New(ratelimit.Config{
		Policies: []func(*http.Request) ratelimit.Policy{
			ratelimit.PerAddress("all", ratelimit.PerHour(1)),
		},
	})
	require.NoError(t, err)
	server := serve(t, mount, func(next http.Handler) http.Handler {
		return address.Wrap(limiter.Wrap(next))
	}, done)
	status, _, header := post(t, server, "x", func(*http.Request) {})
	require.Equal(t, http.StatusCreated, status)
	require.NotEmpty(t, header.Get("RateLimit"))
	status, body, header := post(t, server, "x", func(*http.Request) {})
	require.Equal(t, http.StatusTooManyRequests, status)
	require.Contains(t, body, "rate_limited")
	require.NotEmpty(t, header.Get("Retry-After"))
}

// hmacsigPass: what failed is tried again, what succeeded is not.
func hmacsigPass(t *testing.T, mount Mount) {
	secret := hmacsig.Generate()
	ring, err := hmacsig.NewRotation(secret, hmacsig.Secret{})
	require.NoError(t, err)
	verifier, err := hmacsig.New(hmacsig.Config{
		Scheme: hmacsig.OpsMantik(), Keys: hmacsig.StaticKeys{"north": ring},
	})
	require.NoError(t, err)
	signer, err := hmacsig.NewSigner(hmacsig.SignerConfig{
		Scheme: hmacsig.OpsMantik(), KeyID: "north", Secret: secret,
	})
	require.NoError(t, err)
	server := serve(t, mount, verifier.Wrap, func(r *http.Request) adaptertest.Answer {
		body, err := io.ReadAll(r.Body)
		if err != nil || strings.Contains(string(body), "fail") {
			return adaptertest.Answer{Failed: true, Status: http.StatusServiceUnavailable}
		}
		return done(r)
	})
	status, body, _ := post(t, server, "x", func(*http.Request) {})
	require.Equal(t, http.StatusUnauthorized, status)
	require.Contains(t, body, hmacsig.CodeSignatureMissing)
	for _, row := range []struct {
		body string
		want [2]int
	}{
		{"fail", [2]int{http.StatusServiceUnavailable, http.StatusServiceUnavailable}},
		{"good", [2]int{http.StatusCreated, http.StatusConflict}},
	} {
		var headers http.Header
		for i, want := range row.want {
			status, body, _ := post(t, server, row.body, func(r *http.Request) {
				if i > 0 {
					r.Header = headers
					return
				}
				require.NoError(t, signer.Sign(r))
				headers = r.Header.Clone()
			})
			require.Equal(t, want, status, "%s, delivery %d: %s", row.body, i+1, body)
		}
	}
}

type data struct{ Name string }

// sessionsPass: a cookie set by the handler's sign-in comes back signed in.
func sessionsPass(t *testing.T, mount Mount) {
	memory, err := sessions.NewMemory(sessions.MemoryConfig{})
	require.NoError(t, err)
	manager, err := sessions.New[data](sessions.Config{Store: memory})
	require.NoError(t, err)
	server := serve(t, mount, manager.Load, func(r *http.Request) adaptertest.Answer {
		if s, err := manager.Check(r); err == nil {
			return adaptertest.Answer{Status: http.StatusOK, Body: "hello " + s.Data.Name}
		}
		if err := manager.Start(r.Context(), sessions.Login{
			User: "u1", Level: sallyport.AAL1,
		}, data{Name: "Ada"}); err != nil {
			return adaptertest.Answer{Status: http.StatusInternalServerError, Body: err.Error()}
		}
		return done(r)
	})
	status, body, header := post(t, server, "x", func(*http.Request) {})
	require.Equal(t, http.StatusCreated, status, body)
	cookie, err := http.ParseSetCookie(header.Get("Set-Cookie"))
	require.NoError(t, err)
	_, body, _ = post(t, server, "x", func(r *http.Request) {
		r.Header.Set("Cookie", fmt.Sprintf("%s=%s", cookie.Name, cookie.Value))
	})
	require.Equal(t, "hello Ada", body)
}

type write struct{}

func (write) Permission() string { return "calls.write" }

// tenancyPass: the site comes from the path, and the grant reaches the handler.
func tenancyPass(t *testing.T, mount Mount) {
	for site, want := range map[string]int{"north": http.StatusCreated, "south": http.StatusNotFound} {
		gate, err := tenancy.New(tenancy.Config{
			Identify: func(*http.Request) (sallyport.Principal, error) {
				return sallyport.Principal{
					Kind: sallyport.KindUser, ID: "u1", Level: sallyport.AAL1,
				}, nil
			},
			Sources: []tenancy.Source{tenancy.FromPath("site")},
			Member: func(_ context.Context, _, asked string) (tenancy.Role, error) {
				if asked != site {
					return "", tenancy.ErrNotMember
				}
				return "rep", nil
			},
			Roles: map[tenancy.Role]tenancy.Rights{
				"rep": {Permissions: []string{"calls.write"}, Level: sallyport.AAL1},
			},
		})
		require.NoError(t, err)
		server := serve(t, mount, func(next http.Handler) http.Handler {
			wrapped, err := tenancy.Wrap[write](gate, next)
			require.NoError(t, err)
			return wrapped
		}, func(r *http.Request) adaptertest.Answer {
			grant, ok := tenancy.FromContext[write](r.Context())
			return adaptertest.Answer{
				Status: http.StatusCreated, Body: fmt.Sprint(ok, grant.Site()),
			}
		})
		status, body, _ := post(t, server, "x", func(*http.Request) {})
		require.Equal(t, want, status, body)
		if status == http.StatusCreated {
			require.Equal(t, "truenorth", body)
		}
	}
}
