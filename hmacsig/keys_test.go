package hmacsig_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig"
)

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	text := s.Reveal()
	require.Len(t, text, 43)
	type holder struct {
		Secret hmacsig.Secret
		Inner  *hmacsig.Secret
		Key    hmacsig.Key
		hidden hmacsig.Secret
	}
	h := holder{s, &s, hmacsig.Key{Name: "current", Secret: s}, s}
	var out bytes.Buffer
	for _, verb := range []string{
		"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%T", "%10.3s",
	} {
		for _, value := range []any{s, &s, h, &h, []any{s}, map[string]any{"s": s}} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
	}
	require.NoError(t, json.NewEncoder(&out).Encode(h))
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "secret", s, "holder", h)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "secret", s, "holder", h)
	fmt.Fprintln(&out, s.String())
	for _, form := range []string{text, text[:12], fmt.Sprintf("%x", text), fmt.Sprint([]byte(text))} {
		require.NotContains(t, out.String(), form)
	}
	require.Contains(t, out.String(), "[redacted]")
	_ = h.hidden
}

func TestSecretRules(t *testing.T) {
	t.Parallel()
	good := "uJ9xK3vQ7sTn2WcY5bRd8fGh4jLm6pZa"
	for _, row := range []struct {
		name, value string
		short       bool
		want        string // part of the problem; "" is accepted
	}{
		{"32 bytes", good, false, ""},
		{"31 bytes", good[:31], false, "at least 32"},
		{"31 bytes, allowed", good[:31], true, ""},
		{"16 bytes, allowed", good[:16], true, ""},
		{"15 bytes", good[:15], true, "at least 16"},
		{"512 bytes", strings.Repeat(good, 16), false, ""},
		{"513 bytes", strings.Repeat(good, 16) + "x", false, "at most 512"},
		{"trailing NUL", good + "\x00", false, "NUL"},
		{"one byte", strings.Repeat("a", 32), false, "placeholder"},
		{"four bytes", strings.Repeat("abac", 8), false, "placeholder"},
		{"sequence", "abcdefghijklmnopqrstuvwxyz0123456789", false, "placeholder"},
		{"changeme", "changeme-" + good, false, "placeholder"},
		{"Your-Secret", "Your-Secret-goes-here-1234567890-xyz", false, "placeholder"},
		{"todo", "TODO-" + good, false, "placeholder"},
		{"hex", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", false, ""},
	} {
		_, err := hmacsig.NewSecret(hmacsig.SecretConfig{Value: row.value, AllowShort: row.short})
		if row.want == "" {
			require.NoError(t, err, row.name)
			continue
		}
		var problem *hmacsig.ConfigError
		require.ErrorAs(t, err, &problem, row.name)
		require.ErrorContains(t, err, row.want, row.name)
		require.NotContains(t, err.Error(), row.value, row.name)
	}
	_, err := hmacsig.NewWebhookSecret("whsec_!")
	require.Error(t, err)
	require.False(t, hmacsig.Secret{}.Equal(hmacsig.Secret{}))
	require.True(t, secret(t, good).Equal(secret(t, good)))
	require.Empty(t, hmacsig.Secret{}.Reveal())
}

func TestEqual(t *testing.T) {
	t.Parallel()
	require.True(t, hmacsig.Equal("", ""))
	require.True(t, hmacsig.Equal("abc", "abc"))
	require.False(t, hmacsig.Equal("abc", "abd"))
	require.False(t, hmacsig.Equal("abc", "abcd"))
	require.False(t, hmacsig.Equal("abc", ""))
	require.True(t, hmacsig.Equal([]byte{0, 1}, []byte{0, 1}))
	require.False(t, hmacsig.Equal([]byte{0, 1}, []byte{0, 1, 0}))
	require.True(t, hmacsig.Equal([]byte(nil), []byte{}))
}

func TestKeyringWindows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		old := hmacsig.Key{Name: "old", Secret: hmacsig.Generate(), NotAfter: start.Add(time.Hour)}
		fresh := hmacsig.Key{Name: "new", Secret: hmacsig.Generate(), NotBefore: start.Add(time.Minute)}
		ring, err := hmacsig.NewKeyring(old, fresh)
		require.NoError(t, err)
		retiring := map[string]int{}
		v, err := hmacsig.New(hmacsig.Config{
			Scheme: hmacsig.OpsMantik(), Keys: hmacsig.StaticKeys{site: ring},
			OnDecision: func(_ *http.Request, d hmacsig.Decision) {
				if d.Rejection == nil && d.Proof.Retiring {
					retiring[d.Proof.Key]++
				}
			},
		})
		require.NoError(t, err)
		sent := 0
		check := func(k hmacsig.Key) hmacsig.Reason {
			sent++
			_, err := v.Check(signAt(t, hmacsig.OpsMantik(), k.Secret, time.Now(), fmt.Sprint(sent)))
			return reasonOf(t, err)
		}
		require.Empty(t, check(old))
		require.Equal(t, hmacsig.ReasonInvalid, check(fresh), "not yet")
		signing, ok := ring.Signing(time.Now())
		require.True(t, ok)
		require.Equal(t, "old", signing.Name)
		time.Sleep(time.Minute)
		require.Empty(t, check(fresh))
		require.Empty(t, check(old), "both at once")
		time.Sleep(59 * time.Minute)
		require.Empty(t, check(old), "its last second")
		time.Sleep(time.Second)
		require.Equal(t, hmacsig.ReasonInvalid, check(old), "retired")
		require.Empty(t, check(fresh))
		require.Equal(t, map[string]int{"old": 3}, retiring)
	})
}

func TestKeyringProblems(t *testing.T) {
	t.Parallel()
	k := hmacsig.Key{Name: "a", Secret: hmacsig.Generate()}
	now := time.Now()
	_, err := hmacsig.NewKeyring(k, k, hmacsig.Key{NotBefore: now, NotAfter: now.Add(-1)})
	for _, part := range []string{
		"repeats a name", "repeats a secret", "has no secret", "has no name", "ends before",
	} {
		require.ErrorContains(t, err, part)
	}
	_, err = hmacsig.NewKeyring()
	require.ErrorContains(t, err, "1 to 8")
}

func TestConfigProblems(t *testing.T) {
	t.Parallel()
	_, err := hmacsig.New(hmacsig.Config{
		MaxAge: 48 * time.Hour, MaxAhead: -1, MaxBodyBytes: -1, SpoolAbove: -1,
		Replay: hmacsig.NewMemoryReplay(0), DangerouslyAllowReplay: true, DangerouslyStreamBody: true,
	})
	for _, field := range []string{
		"Scheme", "Keys", "MaxAge", "MaxAhead", "Replay", "MaxBodyBytes", "SpoolAbove",
		"DangerouslyStreamBody",
	} {
		require.ErrorContains(t, err, "hmacsig: "+field+":")
	}
	_, err = hmacsig.NewSigner(hmacsig.SignerConfig{KeyID: strings.Repeat("x", 257), MaxBodyBytes: -1})
	for _, field := range []string{"Scheme", "Secret", "KeyID", "MaxBodyBytes"} {
		require.ErrorContains(t, err, field)
	}
	_, err = hmacsig.NewCache(hmacsig.CacheConfig{TTL: -1, MaxEntries: -1, Timeout: -1, MaxLoads: -1})
	for _, field := range []string{"Source", "TTL", "MaxEntries", "Timeout", "MaxLoads"} {
		require.ErrorContains(t, err, field)
	}
}

func TestZeroVerifierRefuses(t *testing.T) {
	t.Parallel()
	var v hmacsig.Verifier
	_, err := v.Check(&http.Request{})
	require.Equal(t, hmacsig.ReasonNotConfigured, reasonOf(t, err))
	_, ok := hmacsig.FromContext(t.Context())
	require.False(t, ok)
}

func TestBareRequestDoesNotPanic(t *testing.T) {
	t.Parallel()
	for _, scheme := range all() {
		_, err := verifier(t, scheme, hmacsig.Generate()).Check(&http.Request{})
		require.Equal(t, hmacsig.ReasonMissing, reasonOf(t, err), scheme.Name)
	}
}

// An unknown site and a wrong secret are the same answer; a source that is
// down is another.
func TestUnknownKeyID(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	down := errors.New("connection refused")
	for err, want := range map[error]hmacsig.Reason{
		hmacsig.ErrUnknownKey:                        hmacsig.ReasonInvalid,
		fmt.Errorf("sql: %w", hmacsig.ErrUnknownKey): hmacsig.ReasonInvalid,
		down: hmacsig.ReasonKeysUnavailable,
	} {
		v, newErr := hmacsig.New(hmacsig.Config{
			Scheme: hmacsig.OpsMantik(),
			Keys: hmacsig.KeySourceFunc(func(context.Context, string) (hmacsig.Keyring, error) {
				return hmacsig.Keyring{}, err
			}),
		})
		require.NoError(t, newErr)
		w := serve(v.Wrap(status(http.StatusOK)), signAt(t, hmacsig.OpsMantik(), s, time.Now(), "{}"))
		require.Contains(t, w.Body.String(), string(want))
		require.NotContains(t, w.Body.String(), "refused")
		if errors.Is(err, down) {
			require.Equal(t, http.StatusServiceUnavailable, w.Code)
		} else {
			require.Equal(t, http.StatusUnauthorized, w.Code)
		}
	}
}

// source counts its lookups and can be held up.
type source struct {
	mu    sync.Mutex
	ring  hmacsig.Keyring
	err   error
	calls atomic.Int32
	hold  chan struct{}
}

func (s *source) Keys(ctx context.Context, keyID string) (hmacsig.Keyring, error) {
	s.calls.Add(1)
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			return hmacsig.Keyring{}, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.HasPrefix(keyID, "unknown") {
		return hmacsig.Keyring{}, hmacsig.ErrUnknownKey
	}
	return s.ring, s.err
}

func (s *source) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func cache(t testing.TB, cfg hmacsig.CacheConfig) *hmacsig.Cache {
	t.Helper()
	c, err := hmacsig.NewCache(cfg)
	require.NoError(t, err)
	return c
}

func TestCacheLifetimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &source{ring: rotation(t, hmacsig.Generate(), hmacsig.Secret{})}
		c := cache(t, hmacsig.CacheConfig{Source: src})
		ask := func(id string, want error, calls int32) {
			t.Helper()
			_, err := c.Keys(t.Context(), id)
			require.ErrorIs(t, err, want)
			require.Equal(t, calls, src.calls.Load())
		}
		ask("a", nil, 1)
		ask("a", nil, 1)
		ask("unknown", hmacsig.ErrUnknownKey, 2)
		ask("unknown", hmacsig.ErrUnknownKey, 2)
		time.Sleep(10 * time.Second)
		ask("unknown", hmacsig.ErrUnknownKey, 3)
		ask("a", nil, 3)
		c.Forget("a")
		ask("a", nil, 4)
		time.Sleep(time.Minute)
		down := errors.New("down")
		src.fail(down)
		ask("a", down, 5) // an outdated answer does not cover an error up
		ask("a", down, 6) // and the error is not cached
		src.fail(nil)
		ask("a", nil, 7)
	})
}

func TestCacheAsksOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &source{ring: rotation(t, hmacsig.Generate(), hmacsig.Secret{}), hold: make(chan struct{})}
		c := cache(t, hmacsig.CacheConfig{Source: src, MaxLoads: 1})
		var ok atomic.Int32
		impatient, cancel := context.WithCancel(t.Context())
		for i := range 100 {
			ctx := t.Context()
			if i == 0 {
				ctx = impatient // the one that starts it
			}
			synctest.Wait()
			go func() {
				if _, err := c.Keys(ctx, "a"); err == nil {
					ok.Add(1)
				}
			}()
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		_, err := c.Keys(t.Context(), "b")
		require.ErrorContains(t, err, "too many")
		close(src.hold)
		synctest.Wait()
		require.Equal(t, int32(99), ok.Load())
		require.Equal(t, int32(1), src.calls.Load())
	})
}

func TestCacheForgetDuringALookup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &source{ring: rotation(t, hmacsig.Generate(), hmacsig.Secret{}), hold: make(chan struct{})}
		c := cache(t, hmacsig.CacheConfig{Source: src})
		go func() { _, _ = c.Keys(t.Context(), "a") }()
		synctest.Wait()
		c.Forget("a") // revoked while the old answer is on its way
		close(src.hold)
		synctest.Wait()
		_, err := c.Keys(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, int32(2), src.calls.Load())
	})
}

func TestCacheTimeoutAndPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stuck := &source{hold: make(chan struct{})}
		c := cache(t, hmacsig.CacheConfig{Source: stuck})
		_, err := c.Keys(t.Context(), "a")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		c = cache(t, hmacsig.CacheConfig{Source: hmacsig.KeySourceFunc(
			func(context.Context, string) (hmacsig.Keyring, error) { panic("boom") })})
		_, err = c.Keys(t.Context(), "a")
		require.ErrorContains(t, err, "panicked")
	})
}

// A flood of invented ids cannot push a real one out.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	src := &source{ring: rotation(t, hmacsig.Generate(), hmacsig.Secret{})}
	c := cache(t, hmacsig.CacheConfig{Source: src, MaxEntries: 10})
	for i := range 10 {
		_, err := c.Keys(t.Context(), fmt.Sprint("real", i))
		require.NoError(t, err)
	}
	for i := range 1000 {
		_, err := c.Keys(t.Context(), fmt.Sprint("unknown", i))
		require.ErrorIs(t, err, hmacsig.ErrUnknownKey)
	}
	before := src.calls.Load()
	for i := range 10 {
		_, err := c.Keys(t.Context(), fmt.Sprint("real", i))
		require.NoError(t, err)
	}
	require.Equal(t, before, src.calls.Load())
	for i := range 100 {
		_, err := c.Keys(t.Context(), fmt.Sprint("more", i))
		require.NoError(t, err)
	}
	again := 0
	for i := range 100 {
		calls := src.calls.Load()
		_, _ = c.Keys(t.Context(), fmt.Sprint("more", i))
		again += int(src.calls.Load() - calls)
	}
	require.GreaterOrEqual(t, again, 80, "at most 10 are kept")
}
