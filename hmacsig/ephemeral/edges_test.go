package ephemeral_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/ephemeral"
)

// token signs any payload with the right key.
func token(s hmacsig.Secret, header, payload string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(payload))
	mac := hmac.New(sha256.New, []byte(s.Reveal()))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Genuine signatures over claims that are not exactly what they must be.
func TestSessionClaims(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := hmacsig.Generate()
		_, v := sessions(t, func(c *ephemeral.SessionConfig) {
			c.Keys = ring(t, hmacsig.Key{Name: "current", Secret: s})
		})
		const header = `{"alg":"HS256","typ":"JWT"}`
		now := time.Now().Unix() // 946684800
		require.Equal(t, int64(946684800), now)
		thumb := strings.Repeat("A", 42) + "E"
		good := `{"iss":"api","aud":"signaling","sub":"u","site":"s","room":"room:7",` +
			`"cnf":{"x5t#S256":"` + thumb + `"},"iat":946684800,"nbf":946684800,"exp":946685100,"jti":"j"}`
		for _, row := range []struct {
			name, header, old, replacement string
			want                           string
		}{
			{"good", header, "", "", ""},
			{"alg none", `{"alg":"none"}`, "", "", hmacsig.CodeSignatureMalformed},
			{"HS512", `{"alg":"HS512","typ":"JWT"}`, "", "", hmacsig.CodeSignatureMalformed},
			{"array aud", header, `"signaling"`, `["signaling"]`, hmacsig.CodeSignatureMalformed},
			{"no jti", header, `,"jti":"j"`, ``, hmacsig.CodeSignatureMalformed},
			{"empty jti", header, `"jti":"j"`, `"jti":""`, hmacsig.CodeSignatureMalformed},
			{"number as sub", header, `"sub":"u"`, `"sub":1`, hmacsig.CodeSignatureMalformed},
			{"two subs", header, `"sub":"u"`, `"sub":"u","sub":"v"`, hmacsig.CodeSignatureMalformed},
			{"empty and real sub", header, `"sub":"u"`, `"sub":"","sub":"v"`, hmacsig.CodeSignatureMalformed},
			{"two exps", header, `"exp":946685100`, `"exp":946685100,"exp":946685101`, hmacsig.CodeSignatureMalformed},
			{"zero exp", header, `"exp":946685100`, `"exp":0`, hmacsig.CodeSignatureMalformed},
			{"text exp", header, `946685100`, `"946685100"`, hmacsig.CodeSignatureMalformed},
			{"extra claim", header, `{"iss"`, `{"admin":true,"iss"`, hmacsig.CodeSignatureMalformed},
			{"long sub", header, `"u"`, `"` + strings.Repeat("u", 129) + `"`, hmacsig.CodeSignatureMalformed},
			{"extra claim, nested", header, `{"iss"`, `{"admin":{},"iss"`, hmacsig.CodeSignatureMalformed},
			{"no cnf", header, `"cnf":{"x5t#S256":"` + thumb + `"},`, ``, hmacsig.CodeSignatureMalformed},
			{"two cnf", header, `"cnf"`, `"cnf":{"x5t#S256":"` + thumb + `"},"cnf"`, hmacsig.CodeSignatureMalformed},
			{"empty cnf", header, `{"x5t#S256":"` + thumb + `"}`, `{}`, hmacsig.CodeSignatureMalformed},
			{"cnf as text", header, `{"x5t#S256":"` + thumb + `"}`, `"` + thumb + `"`, hmacsig.CodeSignatureMalformed},
			{"another confirmation", header, `x5t#S256`, `jkt`, hmacsig.CodeSignatureMalformed},
			{
				"two confirmations", header, `{"x5t`, `{"x5t#S256":"` + strings.Repeat("B", 42) + `A","x5t`,
				hmacsig.CodeSignatureMalformed,
			},
			{"short thumbprint", header, thumb, thumb[:42], hmacsig.CodeSignatureMalformed},
			{"long thumbprint", header, thumb, thumb + "A", hmacsig.CodeSignatureMalformed},
			{"padded thumbprint", header, thumb, thumb + "=", hmacsig.CodeSignatureMalformed},
			{"thumbprint in another spelling", header, thumb, thumb[:42] + "F", hmacsig.CodeSignatureMalformed},
			{"thumbprint as number", header, `"` + thumb + `"`, `1`, hmacsig.CodeSignatureMalformed},
			{"no site", header, `"site":"s",`, ``, hmacsig.CodeSignatureMalformed},
			{"empty room", header, `"room:7"`, `""`, hmacsig.CodeSignatureMalformed},
			{"not yet", header, `"nbf":946684800`, `"nbf":946684806`, hmacsig.CodeSignatureNotYetValid},
			{"within the leeway", header, `"nbf":946684800`, `"nbf":946684805`, ""},
			{"over", header, `946685100`, `946684800`, hmacsig.CodeSignatureExpired},
			{"longer", header, `946685100`, `946685101`, hmacsig.CodeSignatureClaims},
			{"other iss", header, `"api"`, `"apI"`, hmacsig.CodeSignatureClaims},
		} {
			payload := strings.Replace(good, row.old, row.replacement, 1)
			proof, err := join(v, token(s, row.header, payload))
			require.Equal(t, row.want, reasonOf(t, err), row.name)
			if err == nil {
				require.NoError(t, v.Release(t.Context(), proof))
			}
		}
		for _, text := range []string{"a.b", "a.b.c.d", "a", strings.Repeat("a", 5000)} {
			_, err := join(v, text)
			require.Equal(t, hmacsig.CodeSignatureMalformed, reasonOf(t, err), text)
		}
		_, err := join(v, token(s, header, strings.Repeat(" ", 2200)+good))
		require.Equal(t, hmacsig.CodeSignatureMalformed, reasonOf(t, err), "longer than its buffer")
		basic := httptest.NewRequest(http.MethodGet, "/", nil)
		basic.SetBasicAuth("a", "b")
		_, err = v.Check(basic)
		require.Equal(t, hmacsig.CodeSignatureMissing, reasonOf(t, err))
	})
}

// Genuine signatures over URLs that Sign would not make.
func TestURLForms(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := hmacsig.Generate()
		_, v := urls(t, ephemeral.URLConfig{
			Scope: "a", Keys: ring(t, hmacsig.Key{Name: "current", Secret: s}),
		})
		nonce := strings.Repeat("n", 16)
		for target, want := range map[string]string{
			"/?expires=946684900&nonce=" + nonce + "&scope=a":      "",
			"/?x=1&expires=946684900&nonce=" + nonce + "&scope=a":  "",
			"/?expires=946684900&scope=a":                          hmacsig.CodeSignatureMalformed,
			"/?expires=946684900&nonce=short&scope=a":              hmacsig.CodeSignatureMalformed,
			"/?nonce=" + nonce + "&scope=a":                        hmacsig.CodeSignatureMalformed,
			"/?xexpires=946684900&nonce=" + nonce + "&scope=a":     hmacsig.CodeSignatureMalformed,
			"/?expires=&nonce=" + nonce + "&scope=a":               hmacsig.CodeSignatureMalformed,
			"/?expires=0946684900&nonce=" + nonce + "&scope=a":     hmacsig.CodeSignatureMalformed,
			"/?expires=-1&nonce=" + nonce + "&scope=a":             hmacsig.CodeSignatureMalformed,
			"/?expires=99999999999999&nonce=" + nonce + "&scope=a": hmacsig.CodeSignatureMalformed,
			"/?expires=946684900&nonce=" + nonce + "&scope=%zz":    hmacsig.CodeSignatureMalformed,
			"/?expires=946684900&nonce=" + nonce + "&scope=b":      hmacsig.CodeSignatureClaims,
			"/" + strings.Repeat("x", 9000) + "?expires=9&scope=a": hmacsig.CodeSignatureMalformed,
		} {
			mac := hmac.New(sha256.New, []byte(s.Reveal()))
			mac.Write([]byte("GET\n" + target))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RequestURI = target + "&sig=" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
			_, err := v.Check(r)
			require.Equal(t, want, reasonOf(t, err), target)
		}
	})
}

func TestNoActiveKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys := ring(t, hmacsig.Key{
			Name: "later", Secret: hmacsig.Generate(), NotBefore: time.Now().Add(time.Hour),
		})
		s, _ := urls(t, ephemeral.URLConfig{Scope: "a", Keys: keys})
		_, err := s.Sign(http.MethodGet, "/")
		require.ErrorContains(t, err, "no key")
		i, _ := sessions(t, func(c *ephemeral.SessionConfig) { c.Keys = keys })
		_, err = i.Issue(call())
		require.ErrorContains(t, err, "no key")
	})
}

func TestMoreConfigProblems(t *testing.T) {
	t.Parallel()
	store, err := hmacsig.NewMemoryReplay(hmacsig.MemoryConfig{})
	require.NoError(t, err)
	_, err = ephemeral.NewURLSigner(ephemeral.URLConfig{Scope: "a", Keys: ring(t), Replay: store})
	require.ErrorContains(t, err, "SingleUse")
	_, err = ephemeral.NewTURN(hmacsig.Generate(), 0)
	require.NoError(t, err)
}
