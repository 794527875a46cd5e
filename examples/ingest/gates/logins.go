package gates

import (
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/loginguard"
)

// newLogins slows down whoever guesses passwords and second factors.
func newLogins(cfg Config, store ratelimit.Store) (*loginguard.Guard, error) {
	// All instances know the devices that one of them has met.
	secret, err := derive(cfg.Settings, "known devices")
	if err != nil {
		return nil, err
	}
	config := loginguard.Config{Store: store, DeviceSecret: secret, OnEvent: cfg.OnEvent}
	if cfg.Settings.FailMode != settings.FailClosed {
		// FAIL_MODE=open is for events: passwords are never guessed uncounted.
		config.OnOutage = ratelimit.Local
	}
	return loginguard.New(config)
}
