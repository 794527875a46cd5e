package gates

import (
	"github.com/opsmantik/sallyport/examples/ingest/account"
	"github.com/opsmantik/sallyport/sessions"
)

// newSessions keeps sessions in this process: a restart signs everybody out.
func newSessions(cfg Config) (*account.Sessions, error) {
	store, err := sessions.NewMemory(sessions.MemoryConfig{MaxSessions: 100_000})
	if err != nil {
		return nil, err
	}
	return sessions.New[account.Data](sessions.Config{Store: store, OnEvent: cfg.OnEvent})
}
