package tenancy

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
	"github.com/opsmantik/sallyport/internal/refusal"
)

// Gate turns the site that a request names into a grant. It is immutable but for
// its cache, and safe for concurrent use. The zero value, and nil, refuse everything
// with 503.
type Gate struct {
	cfg       Config
	roles     map[Role]*rights
	services  map[string]map[string]bool
	held      map[string]bool // permissions that a role has
	refusals  *refusal.Table
	cache     *cache        // nil: every decision asks
	epoch     atomic.Uint64 // grants of another one are over
	readsBody bool
}

// rights is a row of the table, made for looking up.
type rights struct {
	Rights
	can   map[string]bool
	plain names // those that need neither an address nor a step-up
}

// names is a short list of permissions. Comparing a few beats hashing one.
type names []string

func (n names) has(permission string) bool {
	return slices.Contains(n, permission)
}

// maxPlain bounds what is compared one by one. Further permissions take the long way,
// which is as right and a little slower.
const maxPlain = 8

// plainNames are the first permissions of a role that the level alone decides.
func (c *Config) plainNames(row Rights) names {
	var plain names
	for _, permission := range row.Permissions {
		_, listed := c.StepUp[permission]
		if !listed && len(row.Networks) == 0 && len(plain) < maxPlain {
			plain = append(plain, permission)
		}
	}
	return plain
}

var errZero = errors.New("tenancy: the gate was not made by New")

// New returns a gate, or every problem of cfg at once: an errors.Join of
// *[sallyport.ConfigError]. It copies what it is given; a table that is changed later
// changes nothing.
func New(cfg Config) (*Gate, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.Sources = slices.SortedStableFunc(slices.Values(cfg.Sources), func(a, b Source) int {
		return cmp.Compare(a.cost, b.cost)
	})
	cfg.StepUp = maps.Clone(cfg.StepUp)
	g := &Gate{
		roles:    map[Role]*rights{},
		services: map[string]map[string]bool{},
		held:     cfg.permissions(),
		refusals: refusal.NewTable(gateName, cfg.ProblemBase, kinds()...),
		readsBody: slices.ContainsFunc(cfg.Sources, func(s Source) bool {
			return s.cost == costBody
		}),
	}
	for role, row := range cfg.Roles {
		if row.Level == 0 {
			row.Level = sallyport.AAL2
		}
		row.Networks = slices.Clone(row.Networks)
		g.roles[role] = &rights{row, set(row.Permissions), cfg.plainNames(row)}
	}
	for service, names := range cfg.Services {
		g.services[service] = set(names)
	}
	if cfg.CacheTTL > 0 {
		g.cache = newCache(cfg.CacheTTL, cfg.CacheSize)
	}
	g.cfg = cfg // but for Roles and Services, whose copies these are
	return g, nil
}

func set(names []string) map[string]bool {
	all := make(map[string]bool, len(names))
	for _, name := range names {
		all[name] = true
	}
	return all
}

func (g *Gate) configured() bool { return g != nil && g.roles != nil }

// Allows reports whether the table gives a role a permission: the cell of a
// permission matrix. It is not an access decision.
func (g *Gate) Allows(role Role, permission string) bool {
	return g.configured() && g.roles[role] != nil && g.roles[role].can[permission]
}

// Forget ends what the gate remembers of a user on a site: the cached membership,
// lookups that are under way, and the grants of memberships that the cache still
// holds. An empty user or site stands for all; with both empty, every grant ends.
// Call it in every process when a membership changes:
//
//	_, err := db.Exec(ctx, "DELETE FROM members WHERE user_id = $1 AND site_id = $2", user, site)
//	...
//	gate.Forget(user, site) // here, and by a message in the other processes
func (g *Gate) Forget(user, site string) {
	if !g.configured() {
		return
	}
	if user == "" && site == "" {
		g.epoch.Add(1)
	}
	if g.cache != nil {
		g.cache.forget(user, site)
	}
}

// Check decides whether the sender of r may do P on the site that r names. It calls
// Identify once, each source at most once and Member at most once, in this order, and
// stops at the first refusal. The error is a *[sallyport.Refusal].
func Check[P Permission](g *Gate, r *http.Request) (Grant[P], error) {
	proof, refused := g.check(r, name[P]())
	if refused != nil {
		return Grant[P]{}, refused
	}
	return Grant[P]{proof: proof}, nil
}

// Authorize is Check outside HTTP: for a user and a site that a job is about. There
// is no address, so what is limited to networks is refused. The error is a
// *[sallyport.Refusal].
func Authorize[P Permission](
	ctx context.Context, g *Gate, who sallyport.Principal, site string,
) (Grant[P], error) {
	permission := name[P]()
	if m := g.remembered(&who, site, permission); m != nil {
		return Grant[P]{proof: proof{member: m, permission: permission}}, nil
	}
	proof, refused := g.authorize(ctx, &who, site, permission)
	if refused != nil {
		return Grant[P]{}, refused
	}
	return Grant[P]{proof: proof}, nil
}

// Route guards h, which cannot be written without receiving the grant. It is where
// a route and its permission meet: P is inferred from h, so the two cannot differ.
//
// The error is a *[sallyport.ConfigError]: no role has the permission, so the route
// could only ever refuse, or the gate was not made by New. The handler is never nil,
// and refuses.
func Route[P Permission](
	g *Gate, h func(http.ResponseWriter, *http.Request, Grant[P]),
) (http.Handler, error) {
	permission := name[P]()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proof, refused := g.check(r, permission)
		if refused != nil {
			g.answer(w, r, refused)
			return
		}
		h(w, r, Grant[P]{proof: proof})
	}), g.holds(permission)
}

// Wrap guards a handler that is not ours to change, such as a file server or a
// proxy; it finds the grant with [FromContext]. Prefer [Route], whose error it shares.
func Wrap[P Permission](g *Gate, next http.Handler) (http.Handler, error) {
	return Route(g, func(w http.ResponseWriter, r *http.Request, grant Grant[P]) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key[P]{}, grant)))
	})
}

// key is a type per permission: a grant for one is not found as another.
type key[P Permission] struct{}

// FromContext returns the grant that [Wrap] put there.
func FromContext[P Permission](ctx context.Context) (Grant[P], bool) {
	grant, ok := ctx.Value(key[P]{}).(Grant[P])
	return grant, ok
}

// holds reports a permission that nobody has, which is misspelt more often than not.
func (g *Gate) holds(permission string) error {
	list := configerr.For(gateName)
	switch {
	case !g.configured():
		list.Add("Gate", "", sallyport.ConfigRequired, "use New")
	case permission == "":
		list.Add("Permission", "", sallyport.ConfigMalformed,
			"want a type whose zero value returns a constant name: no interface, no pointer")
	case !g.held[permission]:
		list.Add("Permission", permission, sallyport.ConfigUnknown,
			"no row of Config.Roles has it; is it misspelt?")
	}
	return list.Err()
}

// answer renders a refusal. The three kinds of 404 take one path through it.
func (g *Gate) answer(w http.ResponseWriter, r *http.Request, refused *sallyport.Refusal) {
	if !g.configured() {
		refused.Write(w)
		return
	}
	g.refusals.Answer(w, r, refused, g.cfg.OnReject)
}
