package devicebound

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
	"github.com/opsmantik/sallyport/sessions"
)

const gate = "devicebound"

// DefaultCookie is the name of the short-lived cookie.
const DefaultCookie = "__Host-device"

// Policy says what a level of authentication asks of the device.
type Policy uint8

const (
	// Preferred binds the sessions of browsers that can, and asks nothing of
	// others.
	Preferred Policy = iota
	// Required refuses a session that was not bound within Config.Window.
	Required
	// Off asks nothing, of bound sessions either.
	Off
)

// Config configures a [Gate]. New copies it.
type Config[T any] struct {
	_ [0]func() // keyed literals only

	// Sessions keeps the sessions that are bound. Required.
	Sessions *sessions.Manager[T]

	// Binding returns the place in a session's data where its binding is kept,
	// an exported field: func(d *Data) *devicebound.Binding { return &d.Device }.
	// Required. Nobody else may change what is there.
	Binding func(*T) *Binding

	// Policy is what each level asks for. A level that is not listed is
	// Preferred. Example: {sallyport.AAL2: devicebound.Required}.
	Policy map[sallyport.Level]Policy

	// Cookie names the short-lived cookie. Default [DefaultCookie]. It must begin
	// with "__Host-", as that of the session, and not with "__Host-Http-": Chromium
	// 156 registers a key for such a cookie, and then never refreshes it.
	Cookie string

	// Life is how long the short-lived cookie works, and so how long a copied
	// session outlives the theft. Default 5 minutes; from 5 seconds to an hour.
	// Browsers fetch the next one before.
	Life time.Duration

	// Window is how long after a sign-in or step-up a browser may register its
	// key, and how long a challenge may be answered. Default a minute; from 5
	// seconds to 10 minutes.
	Window time.Duration

	// RegisterPath and RefreshPath are where [Gate.Register] and [Gate.Refresh]
	// are mounted, for POST. Defaults "/session/device" and
	// "/session/device/refresh". They begin with "/" and have no query.
	RegisterPath, RefreshPath string

	// OnEvent, if set, is called once per decision. Event.Detail is a [Decision].
	OnEvent func(context.Context, sallyport.Event)

	// OnReject, if set, replaces the default answer of Wrap.
	OnReject func(http.ResponseWriter, *http.Request, *sallyport.Refusal)

	// ProblemBase is what the type URI of a refusal begins with. Default: this
	// project's docs/problems.md.
	ProblemBase string
}

// Decision is the Detail of an event.
type Decision struct {
	// Session is the session that was asked for.
	Session sessions.Info
	// Skipped is why the browser says that it sends no fresh cookie:
	// "unreachable", "server_error", "quota_exceeded", or "other". Nobody has
	// proved it, so it excuses nothing.
	Skipped []string
}

func (c Config[T]) withDefaults() Config[T] {
	if c.Cookie == "" {
		c.Cookie = DefaultCookie
	}
	if c.Life == 0 {
		c.Life = 5 * time.Minute
	}
	if c.Window == 0 {
		c.Window = time.Minute
	}
	if c.RegisterPath == "" {
		c.RegisterPath = "/session/device"
	}
	if c.RefreshPath == "" {
		c.RefreshPath = "/session/device/refresh"
	}
	return c
}

func (c Config[T]) validate() error {
	bad := configerr.For(gate)
	if c.Sessions == nil {
		bad.Add("Sessions", "", sallyport.ConfigRequired, "want the manager of the sessions")
	}
	if c.Binding == nil {
		bad.Add("Binding", "", sallyport.ConfigRequired,
			"want a function that returns a field of the session's data")
	} else if !c.keeps() {
		bad.Add("Binding", "", sallyport.ConfigInsecure,
			"want an exported field of T that JSON keeps: a binding that is not stored binds nobody")
	}
	switch {
	case !strings.HasPrefix(c.Cookie, "__Host-"):
		bad.Add("Cookie", c.Cookie, sallyport.ConfigInsecure, `want a name that begins with "__Host-"`)
	case strings.HasPrefix(c.Cookie, "__Host-Http-"):
		bad.Add("Cookie", c.Cookie, sallyport.ConfigConflict,
			`want a name without "__Host-Http-": browsers do not refresh those`)
	case (&http.Cookie{Name: c.Cookie}).Valid() != nil || len(c.Cookie) > 128:
		bad.Add("Cookie", c.Cookie, sallyport.ConfigMalformed, "want a cookie name")
	}
	if c.Life < 5*time.Second || c.Life > time.Hour {
		bad.Add("Life", c.Life.String(), sallyport.ConfigOutOfRange,
			"want between 5 seconds and an hour")
	}
	if c.Window < 5*time.Second || c.Window > 10*time.Minute {
		bad.Add("Window", c.Window.String(), sallyport.ConfigOutOfRange,
			"want between 5 seconds and 10 minutes")
	}
	for field, path := range map[string]string{
		"RegisterPath": c.RegisterPath, "RefreshPath": c.RefreshPath,
	} {
		if !validPath.MatchString(path) {
			bad.Add(field, path, sallyport.ConfigMalformed, `want a path such as "/session/device"`)
		}
	}
	if c.RegisterPath == c.RefreshPath {
		bad.Add("RefreshPath", c.RefreshPath, sallyport.ConfigDuplicate, "want another path")
	}
	for level, policy := range c.Policy {
		field := "Policy[" + strconv.Itoa(int(level)) + "]"
		if level < sallyport.AAL1 || level > sallyport.AAL3 {
			bad.Add(field, "", sallyport.ConfigUnknown, "want a level from AAL1 to AAL3")
		}
		if policy > Off {
			bad.Add(field, strconv.Itoa(int(policy)), sallyport.ConfigUnknown,
				"want Preferred, Required or Off")
		}
	}
	return bad.Err()
}

// keeps reports whether a binding survives the way of a session's data.
func (c Config[T]) keeps() bool {
	var before, after T
	into := c.Binding(&before)
	if into == nil {
		return false
	}
	into.Key = []byte("key")
	text, err := json.Marshal(before)
	if err != nil || json.Unmarshal(text, &after) != nil {
		return false
	}
	got := c.Binding(&after)
	return got != nil && len(got.Key) > 0
}

// validPath has the characters that need no quoting in a header or a URL.
var validPath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]{1,64}){1,8}$`)
