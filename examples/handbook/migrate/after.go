package migrate

import (
	"errors"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/cors"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
	"github.com/opsmantik/sallyport/sessions"
)

// Data is what the session keeps, instead of keys and casts.
type Data struct{ User string }

// After is the service as it is now.
func After() (http.Handler, error) {
	store, err0 := sessions.NewMemory(sessions.MemoryConfig{MaxSessions: 100_000})
	manager, err1 := sessions.New[Data](sessions.Config{
		Store: store, Idle: 30 * time.Minute, Lifetime: 12 * time.Hour,
	})
	origins, err2 := cors.New(cors.Config{
		Origins: []string{"https://app.example.com"}, Credentials: true,
		OwnOrigins:     []string{"https://api.example.com"},
		RequestHeaders: []string{"Content-Type"},
	})
	address, err3 := clientaddr.New(clientaddr.Config{})
	perAddress := ratelimit.PerAddress("address", ratelimit.PerMinute(60))
	limit, err4 := ratelimit.New(ratelimit.Config{
		Policies: []func(*http.Request) ratelimit.Policy{perAddress},
	})
	if err := errors.Join(err0, err1, err2, err3, err4); err != nil {
		return nil, err
	}

	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		login := sessions.Login{User: "ada", Level: sallyport.AAL1}
		if err := manager.Start(r.Context(), login, Data{User: "ada"}); err != nil {
			http.Error(w, "try again later", http.StatusServiceUnavailable)
		}
	})
	mux.Handle("GET /me", manager.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, _ := manager.FromContext(r.Context())
		_, _ = w.Write([]byte(session.Data.User))
	})))
	return origins.Wrap(address.Wrap(limit.Wrap(manager.Load(mux)))), nil
}
