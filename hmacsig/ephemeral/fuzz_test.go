package ephemeral_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/ephemeral"
)

func sum(s hmacsig.Secret, text string) string {
	mac := hmac.New(sha256.New, []byte(s.Reveal()))
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// FuzzURL: an accepted URL ends in the MAC of the method and all before it.
// Besides the fuzzed text as it is, the same text is tried with the right MAC,
// so that what lies behind the signature is reached.
func FuzzURL(f *testing.F) {
	s := hmacsig.Generate()
	keys := ring(f, hmacsig.Key{Name: "current", Secret: s})
	signer, v := urls(f, ephemeral.URLConfig{Scope: "a", Keys: keys})
	for _, target := range []string{"/", "/x?y=1", "/a%2Fb?expire=1"} {
		signed, err := signer.Sign(http.MethodGet, target)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(signed)
	}
	f.Add("/?expires=1&nonce=nnnnnnnnnnnnnnnn&scope=%zz")
	f.Fuzz(func(t *testing.T, target string) {
		for _, text := range []string{target, target + "&sig=" + sum(s, "GET\n"+target)} {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RequestURI = text
			proof, err := v.Check(r)
			if err != nil || !strings.HasPrefix(text, "/") {
				continue
			}
			i := strings.LastIndex(text, "&sig=")
			if i < 0 || text[i+5:] != sum(s, "GET\n"+text[:i]) {
				t.Fatal("accepted with another MAC")
			}
			if proof.Subject != "a" || !strings.Contains(text, "scope=a&sig=") {
				t.Fatal("accepted for another scope")
			}
		}
	})
}

// FuzzSession: an accepted token carries the MAC of its first two parts.
func FuzzSession(f *testing.F) {
	s := hmacsig.Generate()
	issuer, v := sessions(f, func(c *ephemeral.SessionConfig) {
		c.Keys = ring(f, hmacsig.Key{Name: "current", Secret: s})
	})
	issued, err := issuer.Issue(call())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(issued)
	f.Add(token(s, `{"alg":"none"}`, `{"sub":"u"}`))
	f.Fuzz(func(t *testing.T, text string) {
		head := text[:max(strings.LastIndexByte(text, '.'), 0)]
		for _, text := range []string{text, head + "." + sum(s, head)} {
			if _, err := join(v, text); err != nil {
				continue
			}
			i := strings.LastIndexByte(text, '.')
			if text[i+1:] != sum(s, text[:i]) {
				t.Fatal("accepted with another MAC")
			}
		}
	})
}
