package apikey

import (
	"context"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
)

// Config configures a [Gate]. New copies it.
type Config struct {
	_ [0]func() // keyed literals only

	// Prefix begins every key, so that people and secret scanners know whose it is.
	// Required: 2 to 20 of a-z 0-9 _, a letter first, no "_" at the end.
	//
	//	"acme", "acme_live", "ghp"     permitted
	//	"a", "Acme", "acme-", "acme_"  refused
	Prefix string

	// Store keeps the keys. Required. It must answer from where it writes: a replica
	// that lags lets revoked keys in.
	Store Store

	// Permitted tells whether a user may have keys with this scope: whether it is a
	// permission that the user's own role has, at least on some site. Required. It is
	// asked when a key is made; tenancy asks for the role again at every use, so a user
	// who loses a role loses it for every key.
	//
	//	func(_ context.Context, user sallyport.Principal, scope string) (bool, error) {
	//		return access.Allows(roleOf(user.ID), scope), nil
	//	}
	Permitted func(ctx context.Context, user sallyport.Principal, scope string) (bool, error)

	// Header is the field that carries the key, alone. Default: Authorization, as
	// "Bearer KEY" (https://www.rfc-editor.org/rfc/rfc6750#section-2.1). Keys in a
	// URL are not read: URLs are logged.
	Header string

	// MaxAge is how long a key lives at most, counted from when it was made; a
	// shorter MaxAge ends older keys too, whatever their rows say. Default and limit 90
	// days, at least an hour.
	//
	//	30 * 24 * time.Hour    permitted
	//	365 * 24 * time.Hour   refused without DangerouslyLongLived
	MaxAge time.Duration

	// DangerouslyLongLived permits a MaxAge of up to 3650 days.
	DangerouslyLongLived bool

	// TouchEvery is how exact Record.LastUsed is: it is written at most once in that
	// time. Default a minute, at least a second, at most a day.
	TouchEvery time.Duration

	// Timeout bounds what one decision waits for the store: 503 after that. Default 2
	// s, at least a millisecond, at most a minute.
	Timeout time.Duration

	// OnEvent, if set, is called once per decision, and when keys are made or ended.
	// Event.Detail is the [Record] without its hash, where there is one, and a
	// [Leak] for CodeLeaked.
	OnEvent func(context.Context, sallyport.Event)

	// OnReject, if set, replaces the default answer. WWW-Authenticate and Retry-After are
	// set before it.
	OnReject func(http.ResponseWriter, *http.Request, *sallyport.Refusal)

	// ProblemBase is what the type URI of a problem begins with. Default: this
	// project's docs/problems.md.
	ProblemBase string
}

const day = 24 * time.Hour

// The limits of Config.
const (
	minPrefix     = 2
	maxPrefix     = 20
	defaultMaxAge = 90 * day
	minMaxAge     = time.Hour
	longMaxAge    = 3650 * day
	defaultTouch  = time.Minute
	defaultWithin = 2 * time.Second
)

func (c Config) withDefaults() Config {
	if c.MaxAge == 0 {
		c.MaxAge = defaultMaxAge
	}
	if c.TouchEvery == 0 {
		c.TouchEvery = defaultTouch
	}
	if c.Timeout == 0 {
		c.Timeout = defaultWithin
	}
	return c
}

// validate reports every problem at once.
func (c Config) validate() error {
	list := configerr.For(gateName)
	if c.Store == nil {
		list.Add("Store", "", sallyport.ConfigRequired, "say where keys are kept")
	}
	if c.Permitted == nil {
		list.Add("Permitted", "", sallyport.ConfigRequired, "say which scopes a user may hand on")
	}
	if c.Prefix == "" {
		list.Add("Prefix", "", sallyport.ConfigRequired, "name your service, as in acme")
	} else if !validPrefix(c.Prefix) {
		list.Add("Prefix", c.Prefix, sallyport.ConfigMalformed,
			"want 2 to 20 of a-z 0-9 _, a letter first, no _ at the end")
	}
	if c.MaxAge > defaultMaxAge && !c.DangerouslyLongLived {
		list.Add("MaxAge", c.MaxAge.String(), sallyport.ConfigInsecure,
			"more than 90 days needs DangerouslyLongLived")
	}
	within := func(field string, value, least, most time.Duration) {
		if value < least || value > most {
			list.Add(field, value.String(), sallyport.ConfigOutOfRange,
				"want "+least.String()+" to "+most.String())
		}
	}
	within("MaxAge", c.MaxAge, minMaxAge, longMaxAge)
	within("TouchEvery", c.TouchEvery, time.Second, day)
	within("Timeout", c.Timeout, time.Millisecond, time.Minute)
	return list.Err()
}

func validPrefix(prefix string) bool {
	for i, c := range []byte(prefix) {
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return len(prefix) >= minPrefix && len(prefix) <= maxPrefix && prefix[len(prefix)-1] != '_'
}
