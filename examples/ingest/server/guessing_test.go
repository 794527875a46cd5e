package server_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/settings"
)

// behindProxy lets a test come from whatever address it names.
func behindProxy(t *testing.T, change func(*settings.Settings)) *rig {
	t.Helper()
	s := configured(t)
	s.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	if change != nil {
		change(s)
	}
	return run(t, s)
}

func (r *rig) signInFrom(addr, user, secret string, headers ...string) answer {
	r.t.Helper()
	return r.do(http.MethodPost, "/auth/login", `{"email":"`+user+`@example.test","password":"`+secret+`"}`,
		append(headers, "X-Forwarded-For", addr)...)
}

// One stolen password and as many addresses as a /48 has: ten guesses, then the
// session ends and the account's second factor pauses, which a password does not
// reset, and which the owner's own device does not share.
func TestSecondFactorsCannotBeGuessedFromManyAddresses(t *testing.T) {
	t.Parallel()
	r := behindProxy(t, nil)
	owner := r.signInFrom("192.0.2.1", "admin", adminPassword).cookie(t)
	first := r.do(http.MethodPost, "/auth/totp", `{"code":"`+now(t)+`"}`, "Cookie", owner, "X-Forwarded-For", "192.0.2.1")
	require.Equal(t, 200, first.Status, first.Body)
	device := deviceOf(t, first)

	stolen := r.signInFrom("2001:db8::1", "admin", adminPassword).cookie(t)
	var mu sync.Mutex
	wrong := 0
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			got := r.do(http.MethodPost, "/auth/totp", `{"code":"000000"}`, "Cookie", stolen,
				"X-Forwarded-For", fmt.Sprintf("2001:db8:0:%x::1", i))
			mu.Lock()
			defer mu.Unlock()
			if got.Code() == "code_invalid" {
				wrong++
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, wrong, 10)
	require.Equal(t, 401, r.do(http.MethodGet, "/auth/sessions", "", "Cookie", stolen).Status, "the session has ended")
	again := r.signInFrom("2001:db8:1::1", "admin", adminPassword).cookie(t)
	got := r.do(http.MethodPost, "/auth/totp", `{"code":"`+now(t)+`"}`, "Cookie", again, "X-Forwarded-For", "2001:db8:1::1")
	require.Equal(t, 429, got.Status, got.Body)
	require.Equal(t, "second_factor_paused", got.Code())
	require.NotEmpty(t, got.Header.Get("Retry-After"))
	require.Contains(t, r.list(t.Context(), `SELECT json_extract(CAST(entry AS TEXT), '$.action') FROM audit_log`),
		"account.second_factor_paused")

	mine := r.signInFrom("192.0.2.1", "admin", adminPassword, "Cookie", device).cookie(t)
	got = r.do(http.MethodPost, "/auth/totp", `{"code":"111111"}`, "Cookie", mine+"; "+device, "X-Forwarded-For", "192.0.2.1")
	require.Equal(t, 401, got.Status, "the owner's device is not paused: %s", got.Body)
}

func deviceOf(t *testing.T, a answer) string {
	t.Helper()
	for _, c := range (&http.Response{Header: a.Header}).Cookies() {
		if strings.HasSuffix(c.Name, "device") {
			require.True(t, c.Secure && c.HttpOnly && c.SameSite == http.SameSiteStrictMode)
			return c.Name + "=" + c.Value
		}
	}
	require.FailNow(t, "no device cookie", "%v", a.Header)
	return ""
}

// Forty people of one office sign in within two seconds, all with the right
// password: none is banned, and none is told to wait for half an hour.
func TestAnOfficeSignsInAtOnce(t *testing.T) {
	t.Parallel()
	r := behindProxy(t, func(s *settings.Settings) {
		for i := range 40 {
			s.Users = append(s.Users, settings.User{
				ID: fmt.Sprint("user", i), Email: fmt.Sprintf("user%d@example.test", i),
				PasswordHash: adminHash, Role: "rep", Sites: []string{siteA},
			})
		}
	})
	answers := make([]answer, 40)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			// On a busy machine some are told that it is busy, and ask again.
			answers[i] = retried(t, func() answer {
				return r.signInFrom("198.51.100.7", fmt.Sprint("user", i), adminPassword)
			})
		})
	}
	wg.Wait()
	for i, got := range answers {
		require.Equal(t, 200, got.Status, "user %d: %s", i, got.Body)
	}
}

// A flood of wrong passwords from a /48 locks nobody else out, and takes no place
// from the limits of events.
func TestALoginFloodLocksNoStrangerOut(t *testing.T) {
	t.Parallel()
	r := behindProxy(t, nil)
	end := time.Now().Add(2 * time.Second)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := 0; time.Now().Before(end); i++ {
				r.signInFrom(fmt.Sprintf("2001:db8:0:%x:%x::1", worker, i), fmt.Sprint("nobody", worker, i), "guess")
			}
		})
	}
	wg.Wait()
	require.Eventually(t, func() bool {
		return r.signInFrom("203.0.113.9", "rep", adminPassword).Status == 200
	}, 10*time.Second, 100*time.Millisecond)
	require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", view(), "Origin", originA, "X-Forwarded-For", "203.0.113.10").Status)
}
