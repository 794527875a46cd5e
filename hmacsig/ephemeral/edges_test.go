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
		good := `{"iss":"api","aud":"signaling","sub":"u","scope":"room:7",` +
			`"iat":946684800,"nbf":946684800,"exp":946685100,"jti":"j"}`
		for _, row := range []struct {
			name, header, old, replacement string
			want                           hmacsig.Reason
		}{
			{"good", header, "", "", ""},
			{"alg none", `{"alg":"none"}`, "", "", hmacsig.ReasonMalformed},
			{"HS512", `{"alg":"HS512","typ":"JWT"}`, "", "", hmacsig.ReasonMalformed},
			{"array aud", header, `"signaling"`, `["signaling"]`, hmacsig.ReasonMalformed},
			{"no jti", header, `,"jti":"j"`, ``, hmacsig.ReasonMalformed},
			{"empty jti", header, `"jti":"j"`, `"jti":""`, hmacsig.ReasonMalformed},
			{"number as sub", header, `"sub":"u"`, `"sub":1`, hmacsig.ReasonMalformed},
			{"two subs", header, `"sub":"u"`, `"sub":"u","sub":"v"`, hmacsig.ReasonMalformed},
			{"empty and real sub", header, `"sub":"u"`, `"sub":"","sub":"v"`, hmacsig.ReasonMalformed},
			{"two exps", header, `"exp":946685100`, `"exp":946685100,"exp":946685101`, hmacsig.ReasonMalformed},
			{"zero exp", header, `"exp":946685100`, `"exp":0`, hmacsig.ReasonMalformed},
			{"text exp", header, `946685100`, `"946685100"`, hmacsig.ReasonMalformed},
			{"extra claim", header, `{"iss"`, `{"admin":true,"iss"`, hmacsig.ReasonMalformed},
			{"long sub", header, `"u"`, `"` + strings.Repeat("u", 129) + `"`, hmacsig.ReasonMalformed},
			{"not yet", header, `"nbf":946684800`, `"nbf":946684801`, hmacsig.ReasonNotYetValid},
			{"over", header, `946685100`, `946684800`, hmacsig.ReasonExpired},
			{"longer", header, `946685100`, `946685101`, hmacsig.ReasonClaims},
			{"other iss", header, `"api"`, `"apI"`, hmacsig.ReasonClaims},
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
			require.Equal(t, hmacsig.ReasonMalformed, reasonOf(t, err), text)
		}
		_, err := join(v, token(s, header, strings.Repeat(" ", 2200)+good))
		require.Equal(t, hmacsig.ReasonMalformed, reasonOf(t, err), "longer than its buffer")
		basic := httptest.NewRequest(http.MethodGet, "/", nil)
		basic.SetBasicAuth("a", "b")
		_, err = v.Check(basic)
		require.Equal(t, hmacsig.ReasonMissing, reasonOf(t, err))
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
		for target, want := range map[string]hmacsig.Reason{
			"/?expires=946684900&nonce=" + nonce + "&scope=a":      "",
			"/?x=1&expires=946684900&nonce=" + nonce + "&scope=a":  "",
			"/?expires=946684900&scope=a":                          hmacsig.ReasonMalformed,
			"/?expires=946684900&nonce=short&scope=a":              hmacsig.ReasonMalformed,
			"/?nonce=" + nonce + "&scope=a":                        hmacsig.ReasonMalformed,
			"/?xexpires=946684900&nonce=" + nonce + "&scope=a":     hmacsig.ReasonMalformed,
			"/?expires=&nonce=" + nonce + "&scope=a":               hmacsig.ReasonMalformed,
			"/?expires=0946684900&nonce=" + nonce + "&scope=a":     hmacsig.ReasonMalformed,
			"/?expires=-1&nonce=" + nonce + "&scope=a":             hmacsig.ReasonMalformed,
			"/?expires=99999999999999&nonce=" + nonce + "&scope=a": hmacsig.ReasonMalformed,
			"/?expires=946684900&nonce=" + nonce + "&scope=%zz":    hmacsig.ReasonMalformed,
			"/?expires=946684900&nonce=" + nonce + "&scope=b":      hmacsig.ReasonClaims,
			"/" + strings.Repeat("x", 9000) + "?expires=9&scope=a": hmacsig.ReasonMalformed,
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
		_, err = s.Sign(http.MethodGet, "http://[")
		require.Error(t, err)
		i, _ := sessions(t, func(c *ephemeral.SessionConfig) { c.Keys = keys })
		_, err = i.Issue("u")
		require.ErrorContains(t, err, "no key")
	})
}

func TestMoreConfigProblems(t *testing.T) {
	t.Parallel()
	store := hmacsig.NewMemoryReplay(0)
	_, err := ephemeral.NewURLSigner(ephemeral.URLConfig{Scope: "a", Keys: ring(t), Replay: store})
	require.ErrorContains(t, err, "SingleUse")
	_, err = ephemeral.NewSessionVerifier(ephemeral.SessionConfig{
		Issuer: "a", Audience: "b", Scope: "c", Keys: ring(t),
		Replay: store, DangerouslyMultipleUse: true,
	})
	require.ErrorContains(t, err, "DangerouslyMultipleUse")
	_, err = ephemeral.NewTURN(hmacsig.Generate(), 0)
	require.NoError(t, err)
}
