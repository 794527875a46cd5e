package gates

import (
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/ratelimit"
)

// newLogins slows down whoever guesses passwords and second factors.
func newLogins(cfg Config, limiter *ratelimit.Limiter) (*ratelimit.LoginGuard, error) {
	config := ratelimit.LoginConfig{}
	if cfg.Settings.FailMode != settings.FailClosed {
		// FAIL_MODE=open is for events: passwords are never guessed uncounted.
		config.OnOutage = ratelimit.Local
	}
	return ratelimit.NewLoginGuard(limiter, config)
}
