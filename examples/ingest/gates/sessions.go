package gates

import (
	"github.com/opsmantik/sallyport/examples/ingest/account"
	"github.com/opsmantik/sallyport/sessions"
)

func newSessions(cfg Config, store sessions.Store) (*account.Sessions, error) {
	return sessions.New[account.Data](sessions.Config{Store: store, OnEvent: cfg.OnEvent})
}
