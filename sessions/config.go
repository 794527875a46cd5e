package sessions

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Defaults of [Config].
const (
	// DefaultCookie cannot be set by script in browsers that know the __Http-
	// rule, and satisfies __Host- in those that only know that one.
	DefaultCookie = "__Host-Http-session"
	// DefaultIdle is 30 minutes (policy; OWASP session management cheat sheet).
	DefaultIdle = 30 * time.Minute
	// DefaultLifetime is 12 hours (NIST SP 800-63B-4, AAL2 and AAL3).
	DefaultLifetime = 12 * time.Hour
	// DefaultMaxData is 4 KiB of encoded data per session.
	DefaultMaxData = 4 << 10
	// DefaultTimeout bounds one store operation.
	DefaultTimeout = 2 * time.Second
)

// maxTime is far above what any guidance allows; it stops a slip of the unit.
const maxTime = 366 * 24 * time.Hour

// Config configures a [Manager]. New copies it.
type Config struct {
	_ [0]func() // keyed literals only; not comparable

	// Store keeps the sessions. Required: there is no safe default, because a
	// store in memory signs everybody out on restart. See [NewMemory].
	Store Store

	// Cookie names the cookie. It must begin with "__Host-", which makes browsers
	// insist on Secure, Path=/ and no Domain. Default [DefaultCookie].
	Cookie string

	// Idle ends a session that was not used for this long; at exactly this age it
	// is over. Default [DefaultIdle]; at least a second, at most Lifetime.
	Idle time.Duration

	// Lifetime ends a session this long after its authentication event, used or
	// not. Default [DefaultLifetime]; at most 366 days.
	Lifetime time.Duration

	// MaxData bounds the encoded size of T in bytes. Default [DefaultMaxData]; at
	// most 1 MiB.
	MaxData int

	// Timeout bounds each store operation, logout included. Default
	// [DefaultTimeout]; at most a minute. [Memory] never blocks and is not timed.
	Timeout time.Duration

	// OnDecision, if set, is called once per request that consults the session,
	// after it was looked up.
	OnDecision func(*http.Request, Decision)

	// OnReject, if set, replaces the default answer of [Manager.Require].
	OnReject func(http.ResponseWriter, *http.Request, *Rejection)
}

// Decision is what a lookup found. Its fields are safe as metric labels.
type Decision struct {
	Reason Reason // empty: a live session
	Level  Level  // zero unless live
	Err    error  // the cause of a refusal; for logs only
}

// withDefaults fills what was left out, so that validation sees final values.
func (c Config) withDefaults() Config {
	if c.Cookie == "" {
		c.Cookie = DefaultCookie
	}
	if c.Idle == 0 {
		c.Idle = DefaultIdle
	}
	if c.Lifetime == 0 {
		c.Lifetime = DefaultLifetime
	}
	if c.MaxData == 0 {
		c.MaxData = DefaultMaxData
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	return c
}

// validate reports every problem at once: fixing settings one restart at a time
// is how people come to loosen them.
func (c Config) validate() error {
	var errs []error
	bad := func(field, value, reason string) {
		errs = append(errs, &ConfigError{Field: field, Value: value, Reason: reason})
	}
	if c.Store == nil {
		bad("Store", "", "is required; sessions.NewMemory keeps them in this process")
	}
	if !strings.HasPrefix(c.Cookie, "__Host-") || !validCookieName(c.Cookie) {
		bad("Cookie", c.Cookie, `want a cookie name that begins with "__Host-"`)
	}
	if c.Lifetime < time.Second || c.Lifetime > maxTime {
		bad("Lifetime", c.Lifetime.String(), "want between a second and 366 days")
	}
	if c.Idle < time.Second || c.Idle > c.Lifetime {
		bad("Idle", c.Idle.String(), "want between a second and Lifetime")
	}
	if c.MaxData < 2 || c.MaxData > 1<<20 {
		bad("MaxData", strconv.Itoa(c.MaxData), "want between 2 bytes and 1 MiB")
	}
	if c.Timeout < time.Millisecond || c.Timeout > time.Minute {
		bad("Timeout", c.Timeout.String(), "want between a millisecond and a minute")
	}
	return errors.Join(errs...)
}
