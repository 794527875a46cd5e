package hmacsig_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig"
)

const (
	site     = "0123456789abcdef0123456789abcdef"
	siteText = "s3cr3t-s3cr3t-s3cr3t" // the capture's own
)

// travel moves a synctest bubble to a moment. Its clock starts in 2000.
func travel(t *testing.T, unix int64) {
	t.Helper()
	wait := time.Until(time.Unix(unix, 0))
	require.GreaterOrEqual(t, wait, time.Duration(0), "the bubble's clock only goes forward")
	time.Sleep(wait)
}

func secret(t testing.TB, text string) hmacsig.Secret {
	t.Helper()
	s, err := hmacsig.NewSecret(hmacsig.SecretConfig{Value: text, AllowShort: true})
	require.NoError(t, err)
	return s
}

func rotation(t testing.TB, current, next hmacsig.Secret) hmacsig.Keyring {
	t.Helper()
	ring, err := hmacsig.NewRotation(current, next)
	require.NoError(t, err)
	return ring
}

func opsmantik(t testing.TB, change func(*hmacsig.Config)) *hmacsig.Verifier {
	t.Helper()
	cfg := hmacsig.Config{
		Scheme: hmacsig.OpsMantik(),
		Keys: hmacsig.StaticKeys{
			site: rotation(t, secret(t, siteText), hmacsig.Secret{}),
		},
	}
	if change != nil {
		change(&cfg)
	}
	v, err := hmacsig.New(cfg)
	require.NoError(t, err)
	return v
}

func captured(t testing.TB) *http.Request {
	t.Helper()
	raw, err := os.ReadFile("testdata/captured.jsonl")
	require.NoError(t, err)
	var line struct {
		Method, Path, Body string
		Headers            map[string]string
	}
	require.NoError(t, json.Unmarshal(raw, &line))
	r := httptest.NewRequest(line.Method, line.Path, strings.NewReader(line.Body))
	for name, value := range line.Headers {
		r.Header.Set(name, value)
	}
	return r
}

func reasonOf(t testing.TB, err error) hmacsig.Reason {
	t.Helper()
	if err == nil {
		return ""
	}
	var rejection *hmacsig.Rejection
	require.ErrorAs(t, err, &rejection)
	return rejection.Reason
}

// The real tracker's own request, at its own time.
func TestOpsMantikCapturedSignature(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		travel(t, 1795299383)
		r := captured(t)
		proof, err := opsmantik(t, nil).Check(r)
		require.NoError(t, err)
		require.Equal(t, site, proof.KeyID)
		require.Equal(t, "current", proof.Key)
		require.False(t, proof.Retiring)
		require.Equal(t, int64(1795299383), proof.Timestamp.Unix())

		content, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		want, err := io.ReadAll(captured(t).Body)
		require.NoError(t, err)
		require.Equal(t, string(want), string(content), "the body must be restored")
	})
}

func TestOpsMantikWindow(t *testing.T) {
	t.Parallel()
	const signedAt = 1795299383
	for _, row := range []struct {
		name string
		now  int64
		want hmacsig.Reason
	}{
		{"300 s old", signedAt + 300, ""},
		{"301 s old", signedAt + 301, hmacsig.ReasonExpired},
		{"60 s ahead", signedAt - 60, ""},
		{"61 s ahead", signedAt - 61, hmacsig.ReasonNotYetValid},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				travel(t, row.now)
				_, err := opsmantik(t, nil).Check(captured(t))
				require.Equal(t, row.want, reasonOf(t, err))
			})
		})
	}
}

func TestOpsMantikRefusals(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		alter func(*http.Request)
		want  hmacsig.Reason
	}{
		{"no signature", del("X-Ops-Signature"), hmacsig.ReasonMissing},
		{"no timestamp", del("X-Ops-Ts"), hmacsig.ReasonMissing},
		{"no site", del("X-Ops-Site-Id"), hmacsig.ReasonMissing},
		{"empty signature", set("X-Ops-Signature", ""), hmacsig.ReasonMissing},
		{"two signatures", func(r *http.Request) {
			r.Header.Add("X-Ops-Signature", strings.Repeat("0", 64))
		}, hmacsig.ReasonMalformed},
		{"two sites", func(r *http.Request) {
			r.Header.Add("X-Ops-Site-Id", site)
		}, hmacsig.ReasonMalformed},
		{"short signature", set("X-Ops-Signature", strings.Repeat("a", 63)), hmacsig.ReasonMalformed},
		{"long signature", set("X-Ops-Signature", strings.Repeat("a", 66)), hmacsig.ReasonMalformed},
		{"not hex", set("X-Ops-Signature", strings.Repeat("g", 64)), hmacsig.ReasonMalformed},
		{"prefixed", set("X-Ops-Signature", "sha256="+strings.Repeat("a", 57)), hmacsig.ReasonMalformed},
		{"signed timestamp", set("X-Ops-Ts", "+1795299383"), hmacsig.ReasonMalformed},
		{"8 digits", set("X-Ops-Ts", "17952993"), hmacsig.ReasonMalformed},
		{"13 digits", set("X-Ops-Ts", "1795299383000"), hmacsig.ReasonMalformed},
		{"fraction", set("X-Ops-Ts", "1795299383.0"), hmacsig.ReasonMalformed},
		{"space", set("X-Ops-Ts", "1795299383 "), hmacsig.ReasonMalformed},
		{"exponent", set("X-Ops-Ts", "1795299e03"), hmacsig.ReasonMalformed},
		{"leading zeros are other bytes", set("X-Ops-Ts", "001795299383"), hmacsig.ReasonInvalid},
		{"another second", set("X-Ops-Ts", "1795299384"), hmacsig.ReasonInvalid},
		{"unknown site", set("X-Ops-Site-Id", "fedcba9876543210"), hmacsig.ReasonInvalid},
		{"site with a dot", set("X-Ops-Site-Id", "a.b"), hmacsig.ReasonMalformed},
		{"site too long", set("X-Ops-Site-Id", strings.Repeat("a", 65)), hmacsig.ReasonMalformed},
		{"huge header", set("X-Ops-Site-Id", strings.Repeat("a", 5000)), hmacsig.ReasonMalformed},
		{"another body", func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader("{}"))
		}, hmacsig.ReasonInvalid},
		{"no body", func(r *http.Request) {
			r.Body, r.ContentLength = http.NoBody, 0
		}, hmacsig.ReasonInvalid},
		{"nil body", func(r *http.Request) { r.Body = nil }, hmacsig.ReasonInvalid},
		{"upper case is the same", func(r *http.Request) {
			r.Header.Set("X-Ops-Signature", strings.ToUpper(r.Header.Get("X-Ops-Signature")))
		}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				travel(t, 1795299383)
				r := captured(t)
				row.alter(r)
				_, err := opsmantik(t, nil).Check(r)
				require.Equal(t, row.want, reasonOf(t, err))
			})
		})
	}
}

func del(name string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Del(name) }
}

func set(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}
