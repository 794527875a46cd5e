package devicebound_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/sessions/devicebound"
)

// captured are proofs of Chromium 156.
func captured(t testing.TB) (registration, refresh struct{ Challenge, JWT string }) {
	t.Helper()
	text, err := os.ReadFile("testdata/dbsc.json")
	require.NoError(t, err)
	var v struct {
		Registration, Refresh struct{ Challenge, JWT string }
	}
	require.NoError(t, json.Unmarshal(text, &v))
	return v.Registration, v.Refresh
}

func TestProofsOfChromium(t *testing.T) {
	registration, refresh := captured(t)
	key, challenge, err := devicebound.Registered(registration.JWT)
	require.NoError(t, err)
	require.Equal(t, registration.Challenge, challenge)
	challenge, err = devicebound.Refreshed(refresh.JWT, key)
	require.NoError(t, err)
	require.Equal(t, refresh.Challenge, challenge)
	// Each of the two is no proof of the other kind.
	_, err = devicebound.Refreshed(registration.JWT, key)
	require.Error(t, err)
	_, _, err = devicebound.Registered(refresh.JWT)
	require.Error(t, err)
	// No other character anywhere passes.
	for i := range refresh.JWT {
		for _, c := range []string{"A", "B", "-", "="} {
			changed := refresh.JWT[:i] + c + refresh.JWT[i+1:]
			if changed == refresh.JWT {
				continue
			}
			_, err := devicebound.Refreshed(changed, key)
			require.Error(t, err, "character %d", i)
		}
	}
}

// Every way to register with something else than a good proof.
func TestForgedRegistrations(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	good := jwk(ec)
	with := func(name string, value any) object {
		changed := object{}
		maps.Copy(changed, good)
		changed[name] = value
		return changed
	}
	head := func(alg string, key any) string {
		return asJSON(t, object{"typ": "dbsc+jwt", "alg": alg, "jwk": key})
	}
	flip := func(s string) string { // another point
		if s[5] == 'A' {
			return s[:5] + "B" + s[6:]
		}
		return s[:5] + "A" + s[6:]
	}
	for name, make := range map[string]func(body string) string{
		"empty":       func(string) string { return "" },
		"one part":    func(string) string { return "a" },
		"two parts":   func(string) string { return "a.b" },
		"four parts":  func(body string) string { return sign(t, ec, head("ES256", good), body) + ".x" },
		"no key":      func(body string) string { return sign(t, ec, `{"typ":"dbsc+jwt","alg":"ES256"}`, body) },
		"null key":    func(body string) string { return sign(t, ec, head("ES256", nil), body) },
		"alg none":    func(body string) string { return enc([]byte(head("none", good))) + "." + enc([]byte(body)) + "." },
		"no alg":      func(body string) string { return sign(t, ec, head("", good), body) },
		"other alg":   func(body string) string { return sign(t, ec, head("ES384", good), body) },
		"RS256 of EC": func(body string) string { return sign(t, ec, head("RS256", good), body) },
		"ES256 of RSA": func(body string) string {
			return sign(t, big, head("ES256", jwk(big)), body)
		},
		"HS256 with the key as secret": func(body string) string {
			text := enc([]byte(head("HS256", good))) + "." + enc([]byte(body))
			mac := hmac.New(sha256.New, []byte(asJSON(t, good)))
			mac.Write([]byte(text))
			return text + "." + enc(mac.Sum(nil))
		},
		"other type": func(body string) string {
			return sign(t, ec, asJSON(t, object{"typ": "JWT", "alg": "ES256", "jwk": good}), body)
		},
		"critical extension": func(body string) string {
			h := object{"typ": "dbsc+jwt", "alg": "ES256", "jwk": good, "crit": []string{"b64"}}
			return sign(t, ec, asJSON(t, h), body)
		},
		"signed by another key": func(body string) string {
			stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			require.NoError(t, err)
			return sign(t, stranger, head("ES256", good), body)
		},
		"no signature": func(body string) string {
			return strings.TrimRight(sign(t, ec, head("ES256", good), body), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
		},
		"cut signature": func(body string) string { s := sign(t, ec, head("ES256", good), body); return s[:len(s)-4] },
		"zero signature": func(body string) string {
			return enc([]byte(head("ES256", good))) + "." + enc([]byte(body)) + "." + enc(make([]byte, 64))
		},
		"not on the curve":  func(body string) string { return sign(t, ec, head("ES256", with("x", flip(good["x"].(string)))), body) },
		"other curve":       func(body string) string { return sign(t, ec, head("ES256", with("crv", "P-384")), body) },
		"point of P-384":    func(body string) string { return sign(t, other, head("ES256", jwk(other)), body) },
		"short coordinate":  func(body string) string { return sign(t, ec, head("ES256", with("y", "AAAA")), body) },
		"private key":       func(body string) string { return sign(t, ec, head("ES256", with("d", "AAAA")), body) },
		"unknown key type":  func(body string) string { return sign(t, ec, head("ES256", with("kty", "oct")), body) },
		"key is a string":   func(body string) string { return sign(t, ec, head("ES256", "key"), body) },
		"another challenge": func(string) string { return sign(t, ec, head("ES256", good), `{"jti":"x"}`) },
		"no challenge":      func(string) string { return sign(t, ec, head("ES256", good), `{}`) },
		"number":            func(string) string { return sign(t, ec, head("ES256", good), `{"jti":1}`) },
		"body is no JSON":   func(string) string { return sign(t, ec, head("ES256", good), `x`) },
		"padded":            func(body string) string { s := sign(t, ec, head("ES256", good), body); return s + "==" },
		"line break":        func(body string) string { s := sign(t, ec, head("ES256", good), body); return s[:9] + "\n" + s[9:] },
		"quote":             func(body string) string { return `"` + sign(t, ec, head("ES256", good), body) },
		"escape":            func(body string) string { return `"\\` + sign(t, ec, head("ES256", good), body) + `"` },
		"9 kB": func(body string) string {
			return sign(t, ec, asJSON(t, object{
				"typ": "dbsc+jwt", "alg": "ES256", "jwk": good, "x": strings.Repeat("x", 9000),
			}), body)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, nil)
			b := newBrowser(t, s)
			require.Equal(t, 200, b.do(http.MethodPost, "/login"))
			challenge := b.challenge()
			body := asJSON(t, object{"jti": challenge})
			require.Equal(t, 400, b.do(http.MethodPost, "/session/device", "Secure-Session-Response", make(body)))
			require.Equal(t, devicebound.CodeProof, b.code())
			require.Empty(t, b.cookies[devicebound.DefaultCookie])
			require.NotContains(t, b.body, challenge)
			if name != "another challenge" { // the challenge is not spent by a forgery
				b.key = ec
				proof := b.proof(challenge, true)
				require.Equal(t, 200, b.do(http.MethodPost, "/session/device", "Secure-Session-Response", proof))
			}
		})
	}
}

// RSA keys that are too weak to prove anything.
func TestWeakKeys(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	good, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	weak := jwk(good)
	weak["e"] = "Aw" // 3
	even := jwk(good)
	even["e"] = "AQAA" // 65536
	long := jwk(good)
	long["e"] = "AQAAAAE"
	for name, key := range map[string]object{
		"1024 bits": jwk(small), "exponent 3": weak, "even exponent": even, "long exponent": long,
		"no modulus": {"kty": "RSA", "e": "AQAB"}, "no exponent": {"kty": "RSA", "n": weak["n"]},
	} {
		head := asJSON(t, object{"typ": "dbsc+jwt", "alg": "RS256", "jwk": key})
		signer := good
		if name == "1024 bits" {
			signer = small
		}
		_, _, err := devicebound.Registered(sign(t, signer, head, `{"jti":"c"}`))
		require.ErrorContains(t, err, "unsuitable key", name)
	}
	_, _, err = devicebound.Registered(sign(t, good,
		asJSON(t, object{"typ": "dbsc+jwt", "alg": "RS256", "jwk": jwk(good)}), `{"jti":"c"}`))
	require.NoError(t, err)
}

// A proof works once, for one session, in time, and a key is registered once.
func TestReplayedProofs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil)
		b, other := newBrowser(t, s), newBrowser(t, s)
		other.signIn()
		require.Equal(t, 200, b.do(http.MethodPost, "/login"))
		first := b.proof(b.challenge(), true)
		require.Equal(t, 409, other.do(http.MethodPost, "/session/device", "Secure-Session-Response", first))
		require.Equal(t, devicebound.CodeTwice, other.code())
		third := newBrowser(t, s)
		require.Equal(t, 200, third.do(http.MethodPost, "/login"))
		require.Equal(t, 400, third.do(http.MethodPost, "/session/device", "Secure-Session-Response", first),
			"another session's challenge")
		require.Equal(t, 200, b.do(http.MethodPost, "/session/device", "Secure-Session-Response", first))
		require.Equal(t, 409, b.do(http.MethodPost, "/session/device", "Secure-Session-Response", first))

		const path = "/session/device/refresh"
		var got struct {
			ID string `json:"session_identifier"`
		}
		list, err := s.sess.List(t.Context(), "ada")
		require.NoError(t, err)
		for _, info := range list {
			got.ID = info.ID
			b.id = info.ID
			if b.do(http.MethodPost, path, "Sec-Secure-Session-Id", info.ID) == 403 {
				break
			}
		}
		proof := b.proof(b.challenge(), false)
		answer := func() int {
			return b.do(http.MethodPost, path, "Sec-Secure-Session-Id", b.id, "Secure-Session-Response", proof)
		}
		require.Equal(t, 200, answer())
		require.Equal(t, 403, answer(), "spent: another challenge")
		require.Equal(t, devicebound.CodeChallenge, b.code())
		proof = b.proof(b.challenge(), false)
		time.Sleep(time.Minute)
		require.Equal(t, 403, answer(), "late")
		proof = b.proof(b.challenge(), false)
		time.Sleep(time.Minute - 1)
		require.Equal(t, 200, answer(), "in time")
		require.Equal(t, 400, b.do(http.MethodPost, path, "Sec-Secure-Session-Id", b.id,
			"Secure-Session-Response", proof, "Secure-Session-Response", proof), "two")
		require.Equal(t, 400, b.do(http.MethodPost, path, "Sec-Secure-Session-Id", b.id,
			"Secure-Session-Response", b.proof("x", true)), "a key of its own")
	})
}

// A registration that comes late registers nothing.
func TestLateRegistration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil)
		b := newBrowser(t, s)
		require.Equal(t, 200, b.do(http.MethodPost, "/login"))
		proof := b.proof(b.challenge(), true)
		time.Sleep(time.Minute)
		require.Equal(t, 400, b.do(http.MethodPost, "/session/device", "Secure-Session-Response", proof))
		require.Equal(t, 200, b.page(), "not bound, and not asked to be")
	})
}

// Planted beside the real one, a second cookie is no proof.
func TestDoubledCookies(t *testing.T) {
	s := newSite(t, nil)
	b := newBrowser(t, s)
	b.signIn()
	var header strings.Builder
	for name, value := range b.cookies {
		header.WriteString(name + "=" + value + "; ")
	}
	b.cookies = nil
	require.Equal(t, 200, b.do(http.MethodGet, "/page", "Cookie", header.String()))
	require.Equal(t, 401, b.do(http.MethodGet, "/page", "Cookie", header.String()+devicebound.DefaultCookie+"=x"))
	require.Equal(t, devicebound.CodeExpired, b.code())
}

func FuzzProof(f *testing.F) {
	registration, refresh := captured(f)
	key, _, err := devicebound.Registered(registration.JWT)
	require.NoError(f, err)
	f.Add(registration.JWT)
	f.Add(refresh.JWT)
	f.Add("e30.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := devicebound.Refreshed(token, key); err == nil && token != refresh.JWT {
			// ECDSA signatures have a second form; nothing else may differ.
			require.Equal(t, refresh.JWT[:strings.LastIndex(refresh.JWT, ".")],
				token[:strings.LastIndex(token, ".")])
		}
		_, _, _ = devicebound.Registered(token)
	})
}
