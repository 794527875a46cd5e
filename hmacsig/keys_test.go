package hmacsig_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
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
		var problem *sallyport.ConfigError
		require.ErrorAs(t, err, &problem, row.name)
		require.ErrorContains(t, err, row.want, row.name)
		require.NotContains(t, err.Error(), row.value, row.name)
	}
	_, err := hmacsig.NewWebhookSecret("whsec_!")
	require.Error(t, err)
	long := []byte(good + good + good)
	_, err = hmacsig.NewWebhookSecret("whsec_" + base64.StdEncoding.EncodeToString(long[:64]))
	require.NoError(t, err)
	_, err = hmacsig.NewWebhookSecret("whsec_" + base64.StdEncoding.EncodeToString(long[:66]))
	require.ErrorContains(t, err, "at most 64")
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
			OnEvent: func(_ context.Context, e sallyport.Event) {
				if proof, ok := e.Detail.(hmacsig.Proof); ok && proof.Retiring {
					retiring[proof.Key]++
				}
			},
		})
		require.NoError(t, err)
		sent := 0
		check := func(k hmacsig.Key) string {
			sent++
			_, err := v.Check(signAt(t, hmacsig.OpsMantik(), k.Secret, time.Now(), fmt.Sprint(sent)))
			return reasonOf(t, err)
		}
		require.Empty(t, check(old))
		require.Equal(t, hmacsig.CodeSignatureInvalid, check(fresh), "not yet")
		signing, ok := ring.Signing(time.Now())
		require.True(t, ok)
		require.Equal(t, "old", signing.Name)
		time.Sleep(time.Minute)
		require.Empty(t, check(fresh))
		require.Empty(t, check(old), "both at once")
		time.Sleep(59 * time.Minute)
		require.Empty(t, check(old), "its last second")
		time.Sleep(time.Second)
		require.Equal(t, hmacsig.CodeSignatureInvalid, check(old), "retired")
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
		MaxAge: 48 * time.Hour, MaxAhead: -1, MaxBodyBytes: -1,
		Replay: memory(t, hmacsig.MemoryConfig{}), DangerouslyAllowReplay: true,
	})
	for _, field := range []string{
		"Scheme", "Keys", "MaxAge", "MaxAhead", "Replay", "MaxBodyBytes",
	} {
		require.ErrorContains(t, err, "hmacsig: "+field+":")
	}
	// One more than the largest number would be the smallest.
	for _, size := range []int64{1<<40 + 1, math.MaxInt64} {
		_, err = hmacsig.New(hmacsig.Config{MaxBodyBytes: size})
		require.ErrorContains(t, err, "MaxBodyBytes")
		_, err = hmacsig.NewSigner(hmacsig.SignerConfig{MaxBodyBytes: size})
		require.ErrorContains(t, err, "MaxBodyBytes")
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
	require.Equal(t, hmacsig.CodeNotConfigured, reasonOf(t, err))
	_, ok := hmacsig.FromContext(t.Context())
	require.False(t, ok)
}

func TestBareRequestDoesNotPanic(t *testing.T) {
	t.Parallel()
	for _, scheme := range all() {
		_, err := verifier(t, scheme, hmacsig.Generate()).Check(&http.Request{})
		require.Equal(t, hmacsig.CodeSignatureMissing, reasonOf(t, err), scheme.Name)
	}
}

// A source that finds a tenant and says that it may not be used any more
// (suspended, deleted) has said no.
func TestKeysBesideAnErrorDoNotCount(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		err  error
		want string
	}{
		{hmacsig.ErrUnknownKey, hmacsig.CodeSignatureInvalid},
		{fmt.Errorf("suspended: %w", hmacsig.ErrUnknownKey), hmacsig.CodeSignatureInvalid},
		{errors.New("down"), hmacsig.CodeKeysUnavailable},
	} {
		s := hmacsig.Generate()
		keys := rotation(t, s, hmacsig.Secret{})
		v := custom(t, hmacsig.OpsMantik(), s, func(c *hmacsig.Config) {
			c.Keys = sourceFunc(func(context.Context, string) (hmacsig.Keyring, error) {
				return keys, row.err
			})
		})
		_, err := v.Check(signAt(t, hmacsig.OpsMantik(), s, time.Now(), "{}"))
		require.Equal(t, row.want, reasonOf(t, err), row.err)
		require.ErrorIs(t, err, row.err)
	}
}

// An unknown site and a wrong secret are the same answer; a source that is
// down is another.
func TestUnknownKeyID(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	down := errors.New("connection refused")
	for err, want := range map[error]string{
		hmacsig.ErrUnknownKey:                        hmacsig.CodeSignatureInvalid,
		fmt.Errorf("sql: %w", hmacsig.ErrUnknownKey): hmacsig.CodeSignatureInvalid,
		down: hmacsig.CodeKeysUnavailable,
	} {
		v, newErr := hmacsig.New(hmacsig.Config{
			Scheme: hmacsig.OpsMantik(),
			Keys: sourceFunc(func(context.Context, string) (hmacsig.Keyring, error) {
				return hmacsig.Keyring{}, err
			}),
		})
		require.NoError(t, newErr)
		w := serve(v.Wrap(status(http.StatusOK)), signAt(t, hmacsig.OpsMantik(), s, time.Now(), "{}"))
		require.Contains(t, w.Body.String(), want)
		require.NotContains(t, w.Body.String(), "refused")
		if errors.Is(err, down) {
			require.Equal(t, http.StatusServiceUnavailable, w.Code)
		} else {
			require.Equal(t, http.StatusUnauthorized, w.Code)
		}
	}
}
