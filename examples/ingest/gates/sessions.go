package gates

import (
	"net/http"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/ingest/account"
	"github.com/opsmantik/sallyport/sessions"
)

// newSessions keeps sessions in this process: a restart signs everybody out.
func newSessions(cfg Config) (*account.Sessions, error) {
	store, err := sessions.NewMemory(sessions.MemoryConfig{MaxSessions: 100_000, MaxPerUser: 64})
	if err != nil {
		return nil, err
	}
	return sessions.New[account.Data](sessions.Config{
		Store: store,
		OnDecision: func(r *http.Request, d sessions.Decision) {
			e := sallyport.Event{Gate: "sessions", Code: string(d.Reason), Request: r}
			if e.Code == "" {
				e.Allowed, e.Code = true, "session_valid"
			}
			cfg.OnEvent(r.Context(), e)
		},
	})
}
