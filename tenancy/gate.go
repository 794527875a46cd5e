package tenancy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/opsmantik/sallyport/internal/clock"
	"github.com/opsmantik/sallyport/internal/problem"
)

// Gate turns claims into grants. It is immutable and safe for concurrent use. The
// zero value, and nil, refuse everything.
type Gate struct {
	cfg      Config
	can      map[Role]map[string]bool
	problems map[Reason]*problem.Problem
}

var errZero = errors.New("tenancy: zero Gate; use New")

// New returns a gate, or every problem of cfg at once.
func New(cfg Config) (*Gate, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.Sources = slices.Clone(cfg.Sources)
	slices.SortStableFunc(cfg.Sources, func(a, b Source) int {
		return cmp.Compare(order(a), order(b))
	})
	cfg.StepUp = maps.Clone(cfg.StepUp)
	g := &Gate{cfg: cfg, can: map[Role]map[string]bool{}, problems: map[Reason]*problem.Problem{}}
	for role, names := range cfg.Roles {
		g.can[role] = map[string]bool{}
		for _, permission := range names {
			g.can[role][permission] = true
		}
	}
	g.cfg.Roles = nil // can is the copy
	for _, reason := range reasons() {
		g.problems[reason] = reason.problem()
	}
	return g, nil
}

// order puts lookups after what reads the request; see claim.
func order(s Source) int {
	if s.lookup {
		return 1
	}
	return 0
}

// Allows reports whether the table gives a role a permission: the cell of a
// permission matrix. It is not an access decision.
func (g *Gate) Allows(role Role, permission string) bool {
	return g != nil && permission != "" && g.can[role][permission]
}

// Check decides whether the sender of r may do P on the site that r names. It calls
// Identify once, each source at most once and Member at most once, in this order, and
// stops at the first refusal. The error is a *[Rejection].
func Check[P Permission](g *Gate, r *http.Request) (Grant[P], error) {
	proof, rej := g.check(r, name[P]())
	if rej != nil {
		return Grant[P]{}, rej
	}
	return Grant[P]{proof: proof}, nil
}

// Authorize is Check outside HTTP: for a user and a site that a job is about. The
// hooks, which want a request, are not called. The error is a *[Rejection].
func Authorize[P Permission](
	ctx context.Context, g *Gate, who Principal, claim Claim,
) (Grant[P], error) {
	if g == nil || g.can == nil {
		return Grant[P]{}, refuse(ReasonUnavailable, errZero)
	}
	ctx, cancel := context.WithTimeout(ctx, g.cfg.Timeout)
	defer cancel()
	proof, rej := g.authorize(ctx, who, claim, &Decision{Permission: name[P]()})
	if rej != nil {
		return Grant[P]{}, rej
	}
	return Grant[P]{proof: proof}, nil
}

// Route guards h, which cannot be written without receiving the grant. It is where
// a route and its permission meet: P is inferred from h, so the two cannot differ.
func Route[P Permission](
	g *Gate, h func(http.ResponseWriter, *http.Request, Grant[P]),
) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proof, rej := g.check(r, name[P]())
		if rej != nil {
			g.reject(w, r, rej)
			return
		}
		h(w, r, Grant[P]{proof: proof})
	})
}

// Wrap guards a handler that is not ours to change, such as a file server or a
// proxy; it finds the grant with [FromContext]. Prefer [Route].
func Wrap[P Permission](g *Gate, next http.Handler) http.Handler {
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

// check is the decision in order: who, which site, which role, enough factors.
func (g *Gate) check(r *http.Request, permission string) (*proof, *Rejection) {
	if g == nil || g.can == nil {
		return nil, refuse(ReasonUnavailable, errZero)
	}
	d := Decision{Permission: permission}
	// A lookup that hangs would hold the request and its connection.
	ctx, cancel := context.WithTimeout(r.Context(), g.cfg.Timeout)
	defer cancel()
	proof, rej := g.decide(r.WithContext(ctx), &d)
	if rej != nil {
		d.Reason, d.Err = rej.Reason, rej.Err
	}
	if g.cfg.OnDecision != nil {
		g.cfg.OnDecision(r, d)
	}
	return proof, rej
}

// decide notes in d what it learns on the way, for the hook.
func (g *Gate) decide(r *http.Request, d *Decision) (*proof, *Rejection) {
	who, err := g.cfg.Identify(r)
	if err != nil && !errors.Is(err, ErrUnauthenticated) {
		return nil, refuse(ReasonUnavailable, err)
	}
	// Before the claim: a source may be a lookup, and strangers must not cause any.
	// An identity that is absent without an error is refused here as well; skipping
	// the check for it is how a peer let API keys past (CVE-2026-44426).
	if err != nil || !who.proved() {
		return nil, refuse(ReasonIdentityRequired, err)
	}
	d.User = who.User
	claim, rej := g.claim(r)
	if rej != nil {
		return nil, rej
	}
	d.Site = claim.site
	return g.authorize(r.Context(), who, claim, d)
}

// authorize is the decision once it is known who asks for which site. It repeats
// the checks of its arguments: outside HTTP nobody has made them.
func (g *Gate) authorize(
	ctx context.Context, who Principal, claim Claim, d *Decision,
) (*proof, *Rejection) {
	if !who.proved() {
		return nil, refuse(ReasonIdentityRequired, nil)
	}
	if !g.cfg.ValidSite(claim.site) {
		return nil, refuse(ReasonSiteMalformed, nil)
	}
	role, err := g.cfg.Member(ctx, who.User, claim.site)
	if err != nil && !errors.Is(err, ErrNotMember) {
		return nil, refuse(ReasonUnavailable, err)
	}
	if err != nil || role == "" { // 404 and not 403: the site's existence is not theirs
		return nil, refuse(ReasonNotFound, ErrNotMember)
	}
	if !g.Allows(role, d.Permission) {
		return nil, refuse(ReasonNotFound, ErrForbidden)
	}
	d.Role = role
	now := time.Now()
	if rej := g.stepUp(who, role, d.Permission, now); rej != nil {
		return nil, rej
	}
	return &proof{
		permission: d.Permission, user: who.User, site: claim.site, role: role,
		made: now, ttl: g.cfg.GrantTTL,
	}, nil
}

// maxSkew is how far ahead the clock may be that AuthTime was taken from.
const maxSkew = time.Minute

// stepUp refuses when the factors are too few or too long ago. It comes after the
// permission: what a user may not do at all, no second factor helps with.
func (g *Gate) stepUp(who Principal, role Role, permission string, now time.Time) *Rejection {
	maxAge, listed := g.cfg.StepUp[permission]
	if !listed && role != RoleAdmin && role != RoleSuperadmin {
		return nil
	}
	age := clock.Elapsed(who.AuthTime, now)
	tooOld := maxAge > 0 && (age > maxAge || age < -maxSkew) // the future is fresh for ever
	if who.Level >= twoFactor && !tooOld {
		return nil
	}
	rej := refuse(ReasonStepUp, nil)
	rej.maxAge = int(maxAge.Seconds())
	return rej
}

// proved is false for the zero value, and for a user whom nothing authenticated.
func (p Principal) proved() bool { return p.User != "" && p.Level >= oneFactor }

// reject renders a refusal. The three kinds of 404 take one path through it.
func (g *Gate) reject(w http.ResponseWriter, r *http.Request, rej *Rejection) {
	if g != nil && g.cfg.OnReject != nil {
		g.cfg.OnReject(w, r, rej)
		return
	}
	switch rej.Reason {
	case ReasonIdentityRequired:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case ReasonStepUp:
		w.Header().Set("WWW-Authenticate", rej.Challenge())
	case ReasonUnavailable:
		w.Header().Set("Retry-After", "5")
	}
	if g == nil || g.problems == nil {
		rej.Reason.problem().Write(w)
		return
	}
	g.problems[rej.Reason].Write(w)
}

// Challenge returns the WWW-Authenticate value of a step-up (RFC 9470 section 3),
// for an OnReject of the caller's.
func (r *Rejection) Challenge() string {
	challenge := fmt.Sprintf("Bearer error=%q, error_description=%q, acr_values=%q",
		ReasonStepUp, ReasonStepUp.title(), "aal2")
	if r.maxAge > 0 {
		challenge += `, max_age="` + strconv.Itoa(r.maxAge) + `"`
	}
	return challenge
}

func (r Reason) problem() *problem.Problem {
	return problem.New("", r.status(), string(r), r.title(), nil)
}
