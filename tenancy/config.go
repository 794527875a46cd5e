package tenancy

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
)

// Role is what a user is on a site: "admin", "manager", "rep". The names are the
// caller's; a role without a row in Config.Roles can do nothing.
type Role string

// Rights are a row of Config.Roles: what a role may do, and on which conditions.
type Rights struct {
	_ [0]func() // keyed literals only

	// Permissions are the names of what the role may do, as the permission types
	// return them. Nothing is inherited and there are no patterns: what is not in the
	// list, the role cannot do.
	//
	//	"calls:view", "calls:seal"   permitted
	//	"calls:*"                    permitted, and a name like any other
	//	""                           refused: a permission needs a name
	Permissions []string

	// Level is how strongly a user of this role must have authenticated for
	// anything at all. Default sallyport.AAL2, a second factor: a role for which a
	// password is enough says so with sallyport.AAL1. API keys are not asked: they
	// are limited by their scopes, and cannot do what Config.StepUp lists.
	Level sallyport.Level

	// Networks are the addresses from which the role may act; empty for any. It
	// needs Config.Address.
	//
	//	netip.MustParsePrefix("192.0.2.0/24")    permitted
	//	netip.MustParsePrefix("2001:db8::/32")   permitted
	//	netip.MustParsePrefix("192.0.2.7/24")    refused: bits beyond the prefix
	Networks []netip.Prefix
}

// Config configures a [Gate]. New copies it.
type Config struct {
	_ [0]func() // keyed literals only; not comparable

	// Identify returns who sends the request, usually from its session or API key.
	// Required. ErrUnauthenticated, or a Principal that is not Proved, means nobody
	// (401); any other error means that it could not tell (503). It is asked before
	// anything else, so strangers cause no lookup.
	//
	//	who, err := keys.Check(r) // tenancy/apikey: its errors mean the same here
	Identify func(*http.Request) (sallyport.Principal, error)

	// Sources are where a request names its site: FromPath, FromQuery, FromHeader,
	// FromJSON, FromLookup. Required: at least one, at most 16. List every place from
	// which any code behind the gate may take a site id: all that name one must agree,
	// and a place that is not listed is a place that nobody has checked.
	//
	//	FromPath("site_id"), FromQuery("site_id")   GET /api/sites/{site_id}/calls, /api/audit?site_id=
	//	FromLookup("call", siteOfCall)              POST /api/calls/{id}/seal
	//	FromJSON("site_id", 1<<16)                  POST /api/reports {"site_id": ...}
	Sources []Source

	// Member returns the role of a user on a site, both in their one spelling.
	// Required. ErrNotMember, or an empty role, means none, for a site that does not
	// exist too; any other error means that it could not tell (503). One indexed query
	// is best: two, of which the second runs for sites that exist, tell by their time
	// which do.
	//
	//	SELECT role FROM members WHERE user_id = $1 AND site_id = $2
	Member func(ctx context.Context, user, site string) (Role, error)

	// Roles is the table of who may do what. Required.
	//
	//	Roles: map[tenancy.Role]tenancy.Rights{
	//		"admin": {Permissions: []string{"calls:view", "calls:seal"}},
	//		"rep":   {Permissions: []string{"calls:view"}, Level: sallyport.AAL1},
	//	}
	Roles map[Role]Rights

	// StepUp lists permissions that need a second factor whatever the role, with
	// the greatest age of the authentication; 0 accepts any age. An AuthTime more
	// than a minute ahead is too old. Default: none. An API key cannot do these: it has
	// no second factor to show.
	//
	//	"data:erase": 5 * time.Minute   a second factor within five minutes
	//	"calls:seal": 0                 a second factor, however long ago
	//	"calls:sael": 0                 refused: no role has it
	StepUp map[string]time.Duration

	// Services are the permissions of each service, by its Principal's ID, for
	// [AuthorizeService]. Default: none. They are for all sites, so keep them few.
	//
	//	"purge": {"calls:purge"}, "worker": {"events:store"}
	Services map[string][]string

	// ParseSite returns the one spelling of a site id, or false for what is none.
	// Limits, caches, keys and grants see only what it returns. It must return what
	// it returned before unchanged. Default: 1 to 64 of A-Z a-z 0-9 - _, as they are.
	//
	//	strings.ToLower(id), isHex32(id)   "AB..." and "ab..." are one site
	ParseSite func(string) (site string, ok bool)

	// Address returns the client's address, proved: of the connection, or what
	// trusted proxies say, never a header that anybody can send (package
	// ratelimit/clientaddr does that). Required where addresses decide.
	Address func(*http.Request) (netip.Addr, error)

	// SiteNetworks returns the addresses from which anybody may act on a site;
	// empty for any. It is asked after Member, with the same deadline and cache.
	// Default nil: no limit. It needs Address.
	SiteNetworks func(ctx context.Context, site string) ([]netip.Prefix, error)

	// CacheTTL is how long an answer of Member and SiteNetworks is used again, from
	// when it was asked for: after a revocation the cache lets nobody in for longer,
	// and [Gate.Forget] ends it at once. Default 0: not at all; at most a second. A
	// failure is never remembered, and at any time one lookup serves all who ask for
	// the same user and site.
	//
	//	time.Second   a removed member is out a second later, or with the Forget
	//	time.Minute   refused: too long to let a removed member in
	CacheTTL time.Duration

	// CacheSize is how many memberships are kept, and half as many answers that
	// there is none. Default 8192, at least 64, at most 1<<20; rounded up to a power
	// of two.
	CacheSize int

	// GrantTTL is how long a grant names its site, from when its membership was
	// asked for. Default a minute; at least a second and twice CacheTTL, at most an
	// hour. It should cover the slowest handler: a store that gets a Scope which has
	// ended refuses. Streams that live longer ask again.
	GrantTTL time.Duration

	// Timeout bounds Identify, the lookups and Member together: it ends the context
	// that they get. Default 2 s, at least a millisecond, at most a minute.
	Timeout time.Duration

	// OnEvent, if set, is called once per decision, to allow or to refuse, after it,
	// inside HTTP and outside. Event.Detail is a [Decision], Event.Policy the
	// permission, which is safe as a label. Without OnEvent nothing is spent on it.
	OnEvent func(context.Context, sallyport.Event)

	// OnReject, if set, replaces the default answer. Retry-After and WWW-Authenticate
	// are set before it. It must answer the three kinds of 404 alike: look at the code,
	// not at the cause.
	OnReject func(http.ResponseWriter, *http.Request, *sallyport.Refusal)

	// ProblemBase is what the type URI of a problem begins with. Default: this
	// project's docs/problems.md.
	ProblemBase string
}

// The limits of Config.
const (
	maxSources    = 16
	defaultCache  = 8192
	minCache      = 64
	maxCache      = 1 << 20
	maxCacheTTL   = time.Second
	defaultTTL    = time.Minute
	minTTL        = time.Second
	maxTTL        = time.Hour
	minTimeout    = time.Millisecond
	maxTimeout    = time.Minute
	defaultWithin = 2 * time.Second
)

// withDefaults fills what was left out and has a safe default. Who is asking, where
// the site stands and who may do what have none.
func (c Config) withDefaults() Config {
	if c.ParseSite == nil {
		c.ParseSite = plainID
	}
	if c.GrantTTL == 0 {
		c.GrantTTL = defaultTTL
	}
	if c.Timeout == 0 {
		c.Timeout = defaultWithin
	}
	if c.CacheSize == 0 {
		c.CacheSize = defaultCache
	}
	return c
}

// validate reports every problem at once.
func (c Config) validate() error {
	list := configerr.For(gateName)
	required := func(ok bool, field, fix string) {
		if !ok {
			list.Add(field, "", sallyport.ConfigRequired, fix)
		}
	}
	required(c.Identify != nil, "Identify", "say who sends a request")
	required(c.Member != nil, "Member", "say which role a user has on a site")
	required(len(c.Sources) > 0, "Sources", "name at least one: FromPath, FromQuery, ...")
	required(len(c.Roles) > 0, "Roles", "without it nobody can do anything")
	c.validateSources(list)
	c.validateRoles(list)
	c.validateLimits(list)
	return list.Err()
}

func (c Config) validateSources(list *configerr.List) {
	for i, s := range c.Sources {
		if s.read == nil {
			list.Add(fmt.Sprintf("Sources[%d]", i), s.name, sallyport.ConfigMalformed,
				"use FromPath, FromQuery, FromHeader, FromJSON or FromLookup, all given")
		}
	}
	if len(c.Sources) > maxSources {
		list.Add("Sources", fmt.Sprint(len(c.Sources)), sallyport.ConfigOutOfRange,
			fmt.Sprintf("at most %d", maxSources))
	}
	if c.SiteNetworks != nil && c.Address == nil {
		list.Add("Address", "", sallyport.ConfigRequired, "SiteNetworks needs it")
	}
}

func (c Config) validateRoles(list *configerr.List) {
	granted := c.permissions()
	for role, rights := range c.Roles {
		field := "Roles[" + string(role) + "]"
		if role == "" {
			list.Add(field, "", sallyport.ConfigMalformed, "the empty role means no membership")
		}
		validateNames(list, field, rights.Permissions)
		if rights.Level > sallyport.AAL3 {
			list.Add(field+".Level", fmt.Sprint(rights.Level), sallyport.ConfigOutOfRange,
				"want AAL1, AAL2 or AAL3")
		}
		for i, network := range rights.Networks {
			if !network.IsValid() || network.Masked() != network {
				list.Add(fmt.Sprintf("%s.Networks[%d]", field, i), network.String(),
					sallyport.ConfigMalformed, "want a prefix without bits beyond it")
			}
		}
		if len(rights.Networks) > 0 && c.Address == nil {
			list.Add("Address", "", sallyport.ConfigRequired, field+".Networks needs it")
		}
	}
	for service, names := range c.Services {
		field := "Services[" + service + "]"
		if service == "" {
			list.Add(field, "", sallyport.ConfigMalformed, "a service needs a name")
		}
		validateNames(list, field, names)
	}
	for name, age := range c.StepUp {
		field := "StepUp[" + name + "]"
		// A misspelt name here would be a step-up that is never asked for.
		if !granted[name] {
			list.Add(field, "", sallyport.ConfigUnknown, "no role has it; is it misspelt?")
		}
		if age < 0 {
			list.Add(field, age.String(), sallyport.ConfigOutOfRange, "want 0 or more")
		}
	}
}

func validateNames(list *configerr.List, field string, permissions []string) {
	if slices.Contains(permissions, "") {
		list.Add(field, "", sallyport.ConfigMalformed, "a permission needs a name")
	}
}

// permissions are those that a role has.
func (c Config) permissions() map[string]bool {
	granted := map[string]bool{}
	for _, rights := range c.Roles {
		for _, name := range rights.Permissions {
			granted[name] = true
		}
	}
	return granted
}

func (c Config) validateLimits(list *configerr.List) {
	within := func(field string, value, least, most time.Duration) {
		if value < least || value > most {
			list.Add(field, value.String(), sallyport.ConfigOutOfRange,
				fmt.Sprintf("want %v to %v", least, most))
		}
	}
	within("GrantTTL", c.GrantTTL, minTTL, maxTTL)
	within("Timeout", c.Timeout, minTimeout, maxTimeout)
	within("CacheTTL", c.CacheTTL, 0, maxCacheTTL)
	if c.GrantTTL < 2*c.CacheTTL {
		list.Add("GrantTTL", c.GrantTTL.String(), sallyport.ConfigConflict,
			"want at least twice CacheTTL, or a cached membership yields grants that end at once")
	}
	if c.CacheSize < minCache || c.CacheSize > maxCache {
		list.Add("CacheSize", fmt.Sprint(c.CacheSize), sallyport.ConfigOutOfRange,
			fmt.Sprintf("want %d to %d", minCache, maxCache))
	}
}
