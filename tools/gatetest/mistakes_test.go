package gatetest_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What follows are gates as one finds them: they work, and each has one mistake.

func pass(next http.Handler) http.Handler { return next }

func refuseAll(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusUnauthorized, "session_required")
	})
}

// unless leaves requests out of a gate.
func unless(gate middleware, out func(*http.Request) bool) middleware {
	return func(next http.Handler) http.Handler {
		gated := gate(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if out(r) {
				next.ServeHTTP(w, r)
				return
			}
			gated.ServeHTTP(w, r)
		})
	}
}

// origins replaces the gate of the listed pages by one that asks a function.
func origins(allows func(origin string, r *http.Request) bool) func(*parts) {
	return func(p *parts) {
		sound := p.pages
		p.pages = func(next http.Handler) http.Handler {
			gated := sound(next)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				origin := r.Header.Get("Origin")
				if origin == "" || !allows(origin, r) {
					gated.ServeHTTP(w, r)
					return
				}
				w.Header().Set("Access-Control-Allow-Origin", origin)
				w.Header().Set("Vary", "Origin")
				next.ServeHTTP(w, r)
			})
		}
	}
}

func byPrefix(o string, _ *http.Request) bool { return strings.HasPrefix(o, listed) }

func bySuffix(host string) func(string, *http.Request) bool {
	return func(o string, _ *http.Request) bool {
		return strings.HasPrefix(o, "https://") && strings.HasSuffix(o, host)
	}
}

var bareDot = regexp.MustCompile(`^https://shop.example.com$`)

func byPattern(o string, _ *http.Request) bool { return bareDot.MatchString(o) }

func byHost(o string, _ *http.Request) bool {
	u, err := url.Parse(o)
	return err == nil && u.Host == "shop.example.com"
}

func byHostname(o string, _ *http.Request) bool {
	u, err := url.Parse(o)
	return err == nil && u.Scheme == "https" && u.Hostname() == "shop.example.com"
}

func byContent(o string, _ *http.Request) bool { return strings.Contains(o, "//shop.example.com") }
func byFold(o string, _ *http.Request) bool    { return strings.EqualFold(o, listed) }
func byFirst(o string, _ *http.Request) bool   { return o == listed }

// permissive answers every preflight, whoever asks.
func permissive(gate middleware) middleware {
	return func(next http.Handler) http.Handler {
		gated := gate(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodOptions {
				gated.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
			w.WriteHeader(http.StatusNoContent)
		})
	}
}

// publicPreflights does the same in one word.
func publicPreflights(gate middleware) middleware {
	return func(next http.Handler) http.Handler {
		gated := gate(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodOptions {
				w.Header().Set("Access-Control-Allow-Origin", "*")
				return
			}
			gated.ServeHTTP(w, r)
		})
	}
}

func withHeader(name, value string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(name, value)
		ok(w, r)
	})
}

// cacheable lets caches keep what is for one user. The sessions of this module do
// not, whatever a handler says, so this stands outside them.
func cacheable(gate middleware) middleware {
	return func(next http.Handler) http.Handler {
		gated := gate(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			gated.ServeHTTP(rec, r)
			rec.Header().Set("Cache-Control", "public, max-age=60")
			replay(w, rec)
		})
	}
}

// replay sends what was recorded.
func replay(w http.ResponseWriter, rec *httptest.ResponseRecorder) {
	maps.Copy(w.Header(), rec.Header())
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}

// echoing adds the request to every refusal.
func echoing(gate middleware) middleware {
	return func(next http.Handler) http.Handler {
		gated := gate(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			gated.ServeHTTP(rec, r)
			replay(w, rec)
			if rec.Code >= http.StatusBadRequest {
				fmt.Fprintln(w, "request was", r.URL)
			}
		})
	}
}

func bounded(most int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, most)
		next.ServeHTTP(w, r)
	})
}

func anyCookie(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.Cookies()) == 0 {
			refuse(w, http.StatusUnauthorized, "session_required")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// flaws are the mistakes of a verifier of the OpsMantik scheme.
type flaws struct{ optionalTime, looseTime, twice, looseBody, forever, ahead, replayed bool }

func verifier(f flaws) func(*parts) {
	return func(p *parts) {
		p.signature = func(next http.Handler) http.Handler {
			v := &weakVerifier{flaws: f, next: next, seen: map[string]bool{}}
			return http.HandlerFunc(v.serve)
		}
	}
}

type weakVerifier struct {
	flaws
	next http.Handler
	mu   sync.Mutex
	seen map[string]bool
}

func (v *weakVerifier) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "signed_body_too_large")
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if code := v.verify(r.Header, body); code != "" {
		refuse(w, http.StatusUnauthorized, code)
		return
	}
	v.next.ServeHTTP(w, r)
}

func (v *weakVerifier) verify(h http.Header, body []byte) (code string) {
	signature, site, ts := h.Get("X-Ops-Signature"), h.Get("X-Ops-Site-Id"), h.Get("X-Ops-Ts")
	for _, name := range []string{"X-Ops-Signature", "X-Ops-Site-Id", "X-Ops-Ts"} {
		if len(h[name]) > 1 && !v.twice {
			return "signature_malformed"
		}
	}
	if signature == "" || site != "shop" {
		return "signature_missing"
	}
	if ts == "" && !v.optionalTime {
		return "signature_missing"
	}
	if code := v.window(ts); code != "" {
		return code
	}
	if !v.genuine(signature, ts, body) {
		return "signature_invalid"
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seen[signature] && !v.replayed {
		return "request_replayed"
	}
	v.seen[signature] = true
	return ""
}

func (v *weakVerifier) window(ts string) (code string) {
	seconds, err := strconv.ParseInt(ts, 10, 64)
	age := time.Since(time.Unix(seconds, 0))
	switch {
	case err != nil && !v.optionalTime:
		return "signature_malformed"
	case err == nil && age > 5*time.Minute && !v.forever:
		return "signature_expired"
	case err == nil && age < -time.Minute && !v.ahead:
		return "signature_not_yet_valid"
	}
	return ""
}

// genuine compares the signature with that of the request, or, where a part is not
// signed, with that of the request which the kit declares.
func (v *weakVerifier) genuine(signature, ts string, body []byte) bool {
	times := []string{ts}
	if v.looseTime || v.optionalTime && ts == "" {
		times = nil
		for i := int64(-10); i <= 10; i++ {
			times = append(times, strconv.FormatInt(time.Now().Unix()+i, 10))
		}
	}
	if v.looseBody {
		body = []byte(`{"n":1}`)
	}
	for _, ts := range times {
		mac := hmac.New(sha256.New, []byte(secretText))
		fmt.Fprintf(mac, "%s.%s", ts, body)
		if hmac.Equal([]byte(hex.EncodeToString(mac.Sum(nil))), []byte(signature)) {
			return true
		}
	}
	return false
}

// counting is a limiter with a key of its own.
func counting(key func(*http.Request) string, retryAfter string) middleware {
	return countingTo(limit, key, retryAfter)
}

func countingTo(most int, key func(*http.Request) string, retryAfter string) middleware {
	var mu sync.Mutex
	counts := map[string]int{}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			counts[key(r)]++
			over := counts[key(r)] > most
			mu.Unlock()
			if over {
				if retryAfter != "" {
					w.Header().Set("Retry-After", retryAfter)
				}
				refuse(w, http.StatusTooManyRequests, "rate_limited")
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func address(r *http.Request) string { return hostOf(r.RemoteAddr) }

func hostOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return hostport
	}
	return host
}

func forwardedFor(r *http.Request) string {
	if forwarded := r.Header.Get("X-Forwarded-For"); forwarded != "" {
		return forwarded
	}
	return address(r)
}

// renamed answers in the codes of a wire contract, and a replay with 200.
func renamed(gate middleware) middleware {
	words := map[string]string{
		"signature_missing": "SIGNATURE", "signature_malformed": "SIGNATURE",
		"signature_invalid": "SIGNATURE", "signature_expired": "TIME",
		"signature_not_yet_valid": "TIME", "request_replayed": "DONE",
	}
	return func(next http.Handler) http.Handler {
		gated := gate(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			gated.ServeHTTP(rec, r)
			status, body := rec.Code, rec.Body.String()
			for code, word := range words {
				if strings.Contains(body, `"`+code+`"`) {
					body = `{"code":"` + word + `"}`
					if word == "DONE" {
						status = http.StatusOK
					}
					break
				}
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
	}
}
