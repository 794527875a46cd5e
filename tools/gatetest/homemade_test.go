package gatetest_test

import (
	"crypto/rand"
	"net/http"
	"sync"
)

// jar is how people keep sessions by hand: a map of tokens, and one mistake.
type jar struct {
	adopts       bool // the token that the client brings
	keeps        bool // the token before, at a new sign-in
	bare         bool // cookie without attributes
	forgetsToEnd bool // the session, at the sign-out
}

const jarCookie = "__Host-homemade"

// homemade replaces the sessions of the server. Without a mistake it withstands.
func homemade(j jar) func(*parts) {
	return func(p *parts) {
		var mu sync.Mutex
		users := map[string]string{}
		p.login = func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			token := rand.Text()
			if old, err := r.Cookie(jarCookie); err == nil {
				if j.adopts {
					token = old.Value
				} else if !j.keeps {
					delete(users, old.Value)
				}
			}
			users[token] = r.URL.Query().Get("user")
			c := &http.Cookie{
				Name: jarCookie, Value: token, Path: "/", Secure: true, HttpOnly: true,
				SameSite: http.SameSiteStrictMode,
			}
			if j.bare {
				c.HttpOnly, c.SameSite = false, 0
			}
			http.SetCookie(w, c)
		}
		p.logout = func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if c, err := r.Cookie(jarCookie); err == nil && !j.forgetsToEnd {
				delete(users, c.Value)
			}
			http.SetCookie(w, &http.Cookie{Name: jarCookie, Path: "/", MaxAge: -1})
		}
		p.session = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				all := r.CookiesNamed(jarCookie)
				code := "session_required"
				if len(all) == 1 {
					code = ""
					if users[all[0].Value] == "" {
						code = "session_ended"
					}
				} else if len(all) > 1 {
					code = "session_duplicate"
				}
				mu.Unlock()
				if code != "" {
					refuse(w, http.StatusUnauthorized, code)
					return
				}
				w.Header().Set("Cache-Control", "no-store")
				next.ServeHTTP(w, r)
			})
		}
		p.access = direct
	}
}

// lastCookie reads the last cookie of a name, as a map does.
func lastCookie(session middleware) middleware {
	return func(next http.Handler) http.Handler {
		checked := session(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			byName := map[string]*http.Cookie{}
			for _, c := range r.Cookies() {
				byName[c.Name] = c
			}
			r.Header.Del("Cookie")
			for _, c := range byName {
				r.AddCookie(c)
			}
			checked.ServeHTTP(w, r)
		})
	}
}
