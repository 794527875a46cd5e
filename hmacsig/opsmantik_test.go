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

	"github.com/opsmantik/sallyport"
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

func reasonOf(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var rejection *sallyport.Refusal
	require.ErrorAs(t, err, &rejection)
	return rejection.Code
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
		want string
	}{
		{"300 s old", signedAt + 300, ""},
		{"301 s old", signedAt + 301, hmacsig.CodeSignatureExpired},
		{"60 s ahead", signedAt - 60, ""},
		{"61 s ahead", signedAt - 61, hmacsig.CodeSignatureNotYetValid},
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
		want  string
	}{
		{"no signature", del("X-Ops-Signature"), hmacsig.CodeSignatureMissing},
		{"no timestamp", del("X-Ops-Ts"), hmacsig.CodeSignatureMissing},
		{"no site", del("X-Ops-Site-Id"), hmacsig.CodeSignatureMissing},
		{"empty signature", set("X-Ops-Signature", ""), hmacsig.CodeSignatureMissing},
		{"two signatures", func(r *http.Request) {
			r.Header.Add("X-Ops-Signature", strings.Repeat("0", 64))
		}, hmacsig.CodeSignatureMalformed},
		{"two sites", func(r *http.Request) {
			r.Header.Add("X-Ops-Site-Id", site)
		}, hmacsig.CodeSignatureMalformed},
		{"short signature", set("X-Ops-Signature", strings.Repeat("a", 63)), hmacsig.CodeSignatureMalformed},
		{"long signature", set("X-Ops-Signature", strings.Repeat("a", 66)), hmacsig.CodeSignatureMalformed},
		{"not hex", set("X-Ops-Signature", strings.Repeat("g", 64)), hmacsig.CodeSignatureMalformed},
		{"prefixed", set("X-Ops-Signature", "sha256="+strings.Repeat("a", 57)), hmacsig.CodeSignatureMalformed},
		{"signed timestamp", set("X-Ops-Ts", "+1795299383"), hmacsig.CodeSignatureMalformed},
		{"8 digits", set("X-Ops-Ts", "17952993"), hmacsig.CodeSignatureMalformed},
		{"13 digits", set("X-Ops-Ts", "1795299383000"), hmacsig.CodeSignatureMalformed},
		{"fraction", set("X-Ops-Ts", "1795299383.0"), hmacsig.CodeSignatureMalformed},
		{"space", set("X-Ops-Ts", "1795299383 "), hmacsig.CodeSignatureMalformed},
		{"exponent", set("X-Ops-Ts", "1795299e03"), hmacsig.CodeSignatureMalformed},
		{"leading zeros are other bytes", set("X-Ops-Ts", "001795299383"), hmacsig.CodeSignatureInvalid},
		{"another second", set("X-Ops-Ts", "1795299384"), hmacsig.CodeSignatureInvalid},
		{"unknown site", set("X-Ops-Site-Id", "fedcba9876543210"), hmacsig.CodeSignatureInvalid},
		{"site with a dot", set("X-Ops-Site-Id", "a.b"), hmacsig.CodeSignatureMalformed},
		{"site too long", set("X-Ops-Site-Id", strings.Repeat("a", 65)), hmacsig.CodeSignatureMalformed},
		{"huge header", set("X-Ops-Site-Id", strings.Repeat("a", 5000)), hmacsig.CodeSignatureMalformed},
		{"another body", func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("{}")), 2
		}, hmacsig.CodeSignatureInvalid},
		{"body cut by a middleware", func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader("{}"))
		}, hmacsig.CodeBodyConsumed},
		{"no body", func(r *http.Request) {
			r.Body, r.ContentLength = http.NoBody, 0
		}, hmacsig.CodeSignatureInvalid},
		{"nil body", func(r *http.Request) { r.Body = nil }, hmacsig.CodeSignatureInvalid},
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
