package sessions

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
)

// gate names this package in refusals, events and configuration errors.
const gate = "sessions"

// DefaultCookie cannot be set by script in browsers that know the __Http-
// rule, and satisfies __Host- in those that only know that one.
const DefaultCookie = "__Host-Http-session"

const (
	defaultIdle     = 30 * time.Minute // OWASP session management cheat sheet
	defaultLifetime = 12 * time.Hour   // NIST SP 800-63B-4, AAL2 and AAL3
	defaultMaxData  = 4 << 10
	defaultTimeout  = 2 * time.Second
	defaultPerUser  = 64

	// maxTime is far above what any guidance allows; it stops a slip of the unit.
	maxTime    = 366 * 24 * time.Hour
	maxPerUser = 1000
	maxLabel   = 255 // bytes of a user id and of a client label
)

// Config configures a [Manager]. New copies it.
type Config struct {
	_ [0]func() // keyed literals only; not comparable

	// Store keeps the sessions. Required: there is no safe default, because a
	// store in memory signs everybody out on restart. See [NewMemory] and
	// package redissession.
	Store Store

	// Cookie names the cookie. Default [DefaultCookie].
	//
	// Permitted: "__Host-Http-session", "__Host-sid". The prefix makes browsers
	// insist on Secure, Path=/ and no Domain.
	//
	// Refused: "sid", which a sibling domain can set; "__Secure-sid", likewise;
	// "__Host-my session", which is no token of RFC 9110; over 128 bytes.
	Cookie string

	// Idle ends a session that was not used for this long; at exactly this age it
	// is over (ASVS 7.3.1). Default 30 minutes; at least a second, at most
	// Lifetime. [Login] may set another one for its session.
	Idle time.Duration

	// Lifetime ends a session this long after its authentication event, used or
	// not (ASVS 7.3.2). Default 12 hours; at most 366 days.
	Lifetime time.Duration

	// PerUser is how many sessions one user may have. One more ends the one that
	// was not used for longest, so that no account can fill the store. Default
	// 64; at most 1000.
	PerUser int

	// MaxData bounds the encoded size of T in bytes. Default 4 KiB; at most 1 MiB.
	MaxData int

	// Timeout bounds each store operation, logout included. Default 2 seconds; at
	// most a minute. [Memory] never blocks and is not timed.
	Timeout time.Duration

	// Client describes the client of a request, for the list that people see and
	// for noticing that a session changed hands: "Firefox, 192.0.2.0/24" rather
	// than a whole address or user agent, which change every day. A session
	// whose client changed is reported in [Decision], and never ended for it:
	// phones change their network. Optional; cut off after 255 bytes.
	Client func(*http.Request) string

	// OnEvent, if set, is called once per decision: the first lookup of a
	// request, each [Manager.Recheck], and each change that was refused because
	// the session is over. Event.Detail is a [Decision] if there is a session.
	OnEvent func(context.Context, sallyport.Event)

	// OnReject, if set, replaces the default answer of [Manager.Wrap].
	OnReject func(http.ResponseWriter, *http.Request, *sallyport.Refusal)

	// ProblemBase is what the type URI of a refusal begins with; the code is
	// appended. Default: this project's docs/problems.md.
	ProblemBase string
}

// Decision is the Detail of an event about a session that was found.
type Decision struct {
	Info
	// Moved: Config.Client says something else than when the session began.
	Moved bool
}

// withDefaults fills what was left out, so that validation sees final values.
func (c Config) withDefaults() Config {
	if c.Cookie == "" {
		c.Cookie = DefaultCookie
	}
	if c.Idle == 0 {
		c.Idle = defaultIdle
	}
	if c.Lifetime == 0 {
		c.Lifetime = defaultLifetime
	}
	if c.PerUser == 0 {
		c.PerUser = defaultPerUser
	}
	if c.MaxData == 0 {
		c.MaxData = defaultMaxData
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	return c
}

// validate reports every problem at once: fixing settings one restart at a time
// is how people come to loosen them.
func (c Config) validate() error {
	bad := configerr.For(gate)
	if c.Store == nil {
		bad.Add("Store", "", sallyport.ConfigRequired,
			"want a store; sessions.NewMemory keeps sessions in this process")
	}
	switch {
	case !validCookieName(c.Cookie):
		bad.Add("Cookie", c.Cookie, sallyport.ConfigMalformed, "want a cookie name")
	case !strings.HasPrefix(c.Cookie, "__Host-"):
		bad.Add("Cookie", c.Cookie, sallyport.ConfigInsecure,
			`want a name that begins with "__Host-"`)
	}
	limit := func(field, value string, ok bool, fix string) {
		if !ok {
			bad.Add(field, value, sallyport.ConfigOutOfRange, fix)
		}
	}
	limit("Lifetime", c.Lifetime.String(), c.Lifetime >= time.Second && c.Lifetime <= maxTime,
		"want between a second and 366 days")
	limit("Idle", c.Idle.String(), c.Idle >= time.Second && c.Idle <= c.Lifetime,
		"want between a second and Lifetime")
	limit("PerUser", strconv.Itoa(c.PerUser), c.PerUser >= 1 && c.PerUser <= maxPerUser,
		"want between 1 and 1000")
	limit("MaxData", strconv.Itoa(c.MaxData), c.MaxData >= 2 && c.MaxData <= 1<<20,
		"want between 2 bytes and 1 MiB")
	limit("Timeout", c.Timeout.String(), c.Timeout >= time.Millisecond && c.Timeout <= time.Minute,
		"want between a millisecond and a minute")
	return bad.Err()
}
