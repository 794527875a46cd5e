package hmacsig_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig"
)

func all() []hmacsig.Scheme {
	return append(timed(), hmacsig.GitHub())
}

func timed() []hmacsig.Scheme {
	return []hmacsig.Scheme{
		hmacsig.OpsMantik(), hmacsig.StandardWebhooks(), hmacsig.Stripe(), hmacsig.Slack(),
		hmacsig.RFC9421(),
	}
}

// keyIDFor is site, or "" where the scheme has no key ids.
func keyIDFor(scheme hmacsig.Scheme) string {
	if scheme.KeyID == nil {
		return ""
	}
	return site
}

func keysFor(scheme hmacsig.Scheme, ring hmacsig.Keyring) hmacsig.StaticKeys {
	return hmacsig.StaticKeys{keyIDFor(scheme): ring}
}

// sourceFunc is a KeySource of a function.
type sourceFunc func(ctx context.Context, keyID string) (hmacsig.Keyring, error)

func (f sourceFunc) Keys(ctx context.Context, keyID string) (hmacsig.Keyring, error) {
	return f(ctx, keyID)
}

func memory(t testing.TB, cfg hmacsig.MemoryConfig) *hmacsig.MemoryReplay {
	t.Helper()
	m, err := hmacsig.NewMemoryReplay(cfg)
	require.NoError(t, err)
	return m
}

// verifier takes site's signatures, or those of a scheme without key ids.
func verifier(t testing.TB, scheme hmacsig.Scheme, s hmacsig.Secret) *hmacsig.Verifier {
	t.Helper()
	ring := rotation(t, s, hmacsig.Secret{})
	v, err := hmacsig.New(hmacsig.Config{
		Scheme: scheme, Keys: keysFor(scheme, ring), MaxBodyBytes: 2 << 20,
	})
	require.NoError(t, err)
	return v
}

func signAt(
	t testing.TB, scheme hmacsig.Scheme, s hmacsig.Secret, at time.Time, content string,
) *http.Request {
	t.Helper()
	signer, err := hmacsig.NewSigner(hmacsig.SignerConfig{
		Scheme: scheme, KeyID: keyIDFor(scheme), Secret: s, MaxBodyBytes: 2 << 20,
	})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "/a/b?c=d", strings.NewReader(content))
	require.NoError(t, signer.SignAt(r, at))
	return r
}

func TestEverySchemeSignsWhatItVerifies(t *testing.T) {
	t.Parallel()
	for _, scheme := range all() {
		for _, content := range []string{"", "{}", strings.Repeat("x", 1<<20)} {
			s := hmacsig.Generate()
			v := verifier(t, scheme, s)
			r := signAt(t, scheme, s, time.Now(), content)
			proof, err := v.Check(r)
			require.NoError(t, err, scheme.Name)
			require.Equal(t, "current", proof.Key)
			got, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			require.Equal(t, content, string(got))
			require.NoError(t, r.Body.Close())
			require.NoError(t, r.Body.Close(), "closing twice")
		}
	}
}

// TestEveryBitMatters flips each bit of each signature header, of the request
// line where it is signed, and of the body, of a corpus of signed requests.
func TestEveryBitMatters(t *testing.T) {
	t.Parallel()
	for _, scheme := range all() {
		t.Run(scheme.Name, func(t *testing.T) {
			t.Parallel()
			s := hmacsig.Generate()
			v := verifier(t, scheme, s)
			for _, content := range []string{"{}", `{"event":"call","n":1}`} {
				signed := signAt(t, scheme, s, time.Now(), content)
				refuse := func(what string, bit int, r *http.Request, body string) {
					r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
					_, err := v.Check(r)
					if err == nil {
						t.Fatalf("%s: bit %d flipped and accepted", what, bit)
					}
				}
				for name, values := range signed.Header {
					for bit := range 8 * len(values[0]) {
						changed := flip(values[0], bit)
						if strings.Contains(name, "Signature") && sameHex(changed, values[0]) {
							continue // either case is the contract
						}
						r := signed.Clone(t.Context())
						r.Header[name] = []string{changed}
						refuse(name, bit, r, content)
					}
				}
				for bit := range 8 * len(content) {
					refuse("body", bit, signed.Clone(t.Context()), flip(content, bit))
				}
				refuse("body cut", 0, signed.Clone(t.Context()), content[:len(content)-1])
				refuse("body extended", 0, signed.Clone(t.Context()), content+"\x00")
				if !scheme.SignsDigest {
					continue
				}
				for bit := range 8 * len(signed.RequestURI) {
					r := signed.Clone(t.Context())
					r.RequestURI = flip(signed.RequestURI, bit)
					r.URL.Path = "/elsewhere"
					refuse("request target", bit, r, content)
				}
				for bit := range 8 * len(signed.Host) {
					r := signed.Clone(t.Context())
					if r.Host = flip(signed.Host, bit); strings.EqualFold(r.Host, signed.Host) {
						continue
					}
					refuse("host", bit, r, content)
				}
				for bit := range 8 * len(signed.Method) {
					r := signed.Clone(t.Context())
					r.Method = flip(signed.Method, bit)
					refuse("method", bit, r, content)
				}
			}
		})
	}
}

func flip(s string, bit int) string {
	b := []byte(s)
	b[bit/8] ^= 1 << (bit % 8)
	return string(b)
}

// sameHex reports whether only the case of a hexadecimal digit was changed.
func sameHex(a, b string) bool {
	if !strings.EqualFold(a, b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return strings.IndexByte("abcdefABCDEF", a[i]) >= 0
		}
	}
	return false
}

func TestWebhookHeaderForms(t *testing.T) {
	t.Parallel()
	zeros := strings.Repeat("0", 64)
	for _, row := range []struct {
		name, header, value string
		scheme              hmacsig.Scheme
		want                string
	}{
		{"no t", "Stripe-Signature", "v1=" + zeros, hmacsig.Stripe(), hmacsig.CodeSignatureMalformed},
		{
			"two t", "Stripe-Signature", "t=1795299383,t=1795299384,v1=" + zeros,
			hmacsig.Stripe(), hmacsig.CodeSignatureMalformed,
		},
		{
			"no v1", "Stripe-Signature", "t=1795299383,v0=" + zeros,
			hmacsig.Stripe(), hmacsig.CodeSignatureMalformed,
		},
		{"no value", "Stripe-Signature", "t=1795299383,v1", hmacsig.Stripe(), hmacsig.CodeSignatureMalformed},
		{
			"nine v1", "Stripe-Signature", "t=1795299383" + strings.Repeat(",v1="+zeros, 9),
			hmacsig.Stripe(), hmacsig.CodeSignatureMalformed,
		},
		{"sha1", "X-Hub-Signature-256", "sha1=" + zeros[:40], hmacsig.GitHub(), hmacsig.CodeSignatureMalformed},
		{"bare", "X-Hub-Signature-256", zeros, hmacsig.GitHub(), hmacsig.CodeSignatureMalformed},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set(row.header, row.value)
		_, err := verifier(t, row.scheme, hmacsig.Generate()).Check(r)
		require.Equal(t, row.want, reasonOf(t, err), row.name)
	}
}

// During a rotation the sender signs twice; other versions are passed over.
func TestStandardWebhooksSeveralSignatures(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	r := signAt(t, hmacsig.StandardWebhooks(), s, time.Now(), "{}")
	good := r.Header.Get("Webhook-Signature")
	r.Header.Set("Webhook-Signature", "v1a,AAAA v1,"+strings.Repeat("A", 43)+"= "+good+" v2,x")
	_, err := verifier(t, hmacsig.StandardWebhooks(), s).Check(r)
	require.NoError(t, err)
}

func TestRFC9421Forms(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	for _, row := range []struct{ name, header, old, replacement string }{
		{"label", "Signature-Input", "sig1=", "sig2="},
		{"two labels", "Signature", ":", ":, sig2=:AAAA:"},
		{"covered", "Signature-Input", `"@query" `, ""},
		{"order", "Signature-Input", `"@path" "@query"`, `"@query" "@path"`},
		{"alg", "Signature-Input", ";tag=", `;alg="none";tag=`},
		{"expires", "Signature-Input", ";tag=", `;expires=99999999999;tag=`},
		{"tag", "Signature-Input", "sallyport", "other"},
		{"no nonce", "Signature-Input", ";nonce", ";nonse"},
		{"sha-512", "Content-Digest", "sha-256", "sha-512"},
		{"two digests", "Content-Digest", "sha-256", "sha-512=:AAAA:, sha-256"},
	} {
		r := signAt(t, hmacsig.RFC9421(), s, time.Now(), "{}")
		text := r.Header.Get(row.header)
		require.Contains(t, text, row.old, row.name)
		r.Header.Set(row.header, strings.Replace(text, row.old, row.replacement, 1))
		_, err := verifier(t, hmacsig.RFC9421(), s).Check(r)
		require.Equal(t, hmacsig.CodeSignatureMalformed, reasonOf(t, err), row.name)
	}
	for size, want := range map[int]string{
		15: hmacsig.CodeSignatureMalformed, 16: "", 128: "", 129: hmacsig.CodeSignatureMalformed,
	} {
		scheme := hmacsig.RFC9421()
		base := scheme.Base
		scheme.Base = func(dst []byte, r *http.Request, m *hmacsig.Message) []byte {
			m.Nonce = strings.Repeat("n", size)
			return base(dst, r, m)
		}
		r := signAt(t, scheme, s, time.Now(), "{}")
		_, err := verifier(t, hmacsig.RFC9421(), s).Check(r)
		require.Equal(t, want, reasonOf(t, err), "%d", size)
	}
	r := signAt(t, hmacsig.RFC9421(), s, time.Now(), "{}")
	r.Body = io.NopCloser(strings.NewReader("[]"))
	_, err := verifier(t, hmacsig.RFC9421(), s).Check(r)
	require.Equal(t, hmacsig.CodeBodyDigest, reasonOf(t, err))
}
