package tenancy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Role is what a user is on a site.
type Role string

// The roles of the access policy. Others may be used; a role without a row in
// Config.Roles can do nothing.
const (
	RoleSuperadmin Role = "superadmin"
	RoleAdmin      Role = "admin"
	RoleManager    Role = "manager"
	RoleRep        Role = "rep"
)

// Levels of [Principal.Level], after the AALs of NIST SP 800-63B-4.
const (
	oneFactor = 1
	twoFactor = 2
)

// Principal is a user whose identity the caller has proved. Without a user or a
// level it is nobody, and refused.
type Principal struct {
	User     string
	Level    int       // authenticator assurance level: 1 one factor, 2 two, 3 hardware
	AuthTime time.Time // when that level was reached
}

// Config configures a [Gate]. New copies it.
type Config struct {
	_ [0]func() // keyed literals only; not comparable

	// Identify returns who sends the request, usually from its session. Required.
	// ErrUnauthenticated means nobody (401); any other error means that it could
	// not tell (503).
	Identify func(*http.Request) (Principal, error)

	// Sources are where a request names its site. Required: at least one.
	Sources []Source

	// Member returns the role of a user on a site. Required. ErrNotMember, or an
	// empty role, means none, for a site that does not exist too; any other error
	// means that it could not tell (503).
	Member func(ctx context.Context, user, site string) (Role, error)

	// Roles lists the names of the permissions of each role. Required. Nothing is
	// inherited: what is not in a role's list, the role cannot do.
	Roles map[Role][]string

	// StepUp lists permissions that need a second factor whatever the role, with
	// the greatest age of the authentication; 0 accepts any age. An AuthTime more
	// than a minute ahead is too old. RoleAdmin and RoleSuperadmin need the second
	// factor for everything.
	StepUp map[string]time.Duration

	// ValidSite tells what can be a site id. Default: 1 to 64 of A-Z a-z 0-9 - _.
	ValidSite func(string) bool

	// GrantTTL is how long a grant names its site. Default a minute, at most an
	// hour.
	GrantTTL time.Duration

	// Timeout bounds Identify, the lookups and Member together: it ends the context
	// that they get. Default 2 s, at most a minute.
	Timeout time.Duration

	// OnDecision, if set, is called once per decision, allow and refuse, after it.
	OnDecision func(*http.Request, Decision)

	// OnReject, if set, replaces the default answer.
	OnReject func(http.ResponseWriter, *http.Request, *Rejection)
}

// Decision is what the gate decided. Reason, Permission and Role are safe as
// metric labels; User and Site are for the audit log.
type Decision struct {
	Reason     Reason // empty: granted
	Permission string
	Role       Role // empty unless it has the permission
	User, Site string
	Err        error // the cause of a refusal; tells ErrNotMember from ErrForbidden
}

// withDefaults fills what was left out and has a safe default. Who is asking, where
// the site stands and who may do what have none.
func (c Config) withDefaults() Config {
	if c.ValidSite == nil {
		c.ValidSite = plainID
	}
	if c.GrantTTL == 0 {
		c.GrantTTL = time.Minute
	}
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Second
	}
	return c
}

// validate reports every problem at once.
func (c Config) validate() error {
	var errs []error
	require := func(ok bool, field, value, reason string) {
		if !ok {
			errs = append(errs, &ConfigError{Field: field, Value: value, Reason: reason})
		}
	}
	require(c.Identify != nil, "Identify", "", "is required")
	require(c.Member != nil, "Member", "", "is required")
	require(len(c.Sources) > 0, "Sources", "", "name at least one: FromPath, FromQuery, ...")
	for i, s := range c.Sources {
		require(s.read != nil, fmt.Sprintf("Sources[%d]", i), s.name,
			"use FromPath, FromQuery, FromHeader or FromLookup with a name")
	}
	require(len(c.Roles) > 0, "Roles", "", "is required: without it nobody can do anything")
	granted := map[string]bool{}
	for role, names := range c.Roles {
		require(role != "", "Roles", "", "the empty role means no membership")
		for _, name := range names {
			granted[name] = true
			require(name != "", "Roles["+string(role)+"]", "", "a permission needs a name")
		}
	}
	// A misspelt name here would be a step-up that is never asked for.
	for name, age := range c.StepUp {
		require(granted[name], "StepUp", name, "no role has this permission; is it misspelt?")
		require(age >= 0, "StepUp["+name+"]", age.String(), "want 0 or more")
	}
	require(c.GrantTTL >= time.Second && c.GrantTTL <= time.Hour,
		"GrantTTL", c.GrantTTL.String(), "want between a second and an hour")
	require(c.Timeout >= time.Millisecond && c.Timeout <= time.Minute,
		"Timeout", c.Timeout.String(), "want between a millisecond and a minute")
	return errors.Join(errs...)
}
