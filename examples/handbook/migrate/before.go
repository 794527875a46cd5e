// Package migrate has the same service twice: with the libraries that many services
// have, and with this module.
package migrate

//lint:file-ignore SA1019 what is deprecated here is what is left behind

import (
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/go-chi/httprate"
	"github.com/gorilla/csrf"
	rscors "github.com/rs/cors"
)

// Before is the service as it was.
func Before(csrfKey []byte) http.Handler {
	manager := scs.New()
	manager.IdleTimeout, manager.Lifetime = 30*time.Minute, 12*time.Hour
	manager.Cookie.Secure, manager.Cookie.SameSite = true, http.SameSiteStrictMode

	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if err := manager.RenewToken(r.Context()); err != nil {
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		manager.Put(r.Context(), "user", "ada")
	})
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		user := manager.GetString(r.Context(), "user")
		if user == "" {
			http.Error(w, "sign in", http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(user))
	})
	origins := rscors.New(rscors.Options{
		AllowedOrigins: []string{"https://app.example.com"}, AllowCredentials: true,
		AllowedHeaders: []string{"Content-Type"}, AllowedMethods: []string{"GET", "POST"},
	})
	limit := httprate.LimitByIP(60, time.Minute)
	return origins.Handler(limit(csrf.Protect(csrfKey)(manager.LoadAndSave(mux))))
}
