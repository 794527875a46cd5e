// Package tenancy decides who may do what on which site, and makes the decision a
// value that code behind it can demand.
//
// # Threat
//
// A signed-in user names somebody else's site; a second route forgets the check;
// a check is skipped because there was no identity to check; two parts of a request
// name two sites and two parts of the program read one each; a password alone opens
// what needs a second factor.
//
// # Guarantees
//
//   - A [Grant] comes from a [Gate] only. A handler behind [Route] receives the
//     grant as an argument, so one without the check does not compile. A Grant[P]
//     is of its permission's own type: it does not convert into another, and its
//     zero value names no site.
//   - No identity is a refusal, not a case that skips a step.
//   - Every declared source of the site id must agree, none may repeat it, and at
//     least one must name it.
//   - An unknown site, a site of others and a permission that the role lacks are
//     the same 404, byte for byte.
//   - A role that is not in the table has no permission.
//   - [RoleAdmin] and [RoleSuperadmin] act only with a second factor; so does
//     everybody for a permission listed in [Config.StepUp]. The answer is the
//     challenge of RFC 9470.
//   - A failing membership lookup is 503, never access, and never 404.
//
// # Not guaranteed
//
//   - A grant proves access when it was made, and expires (Config.GrantTTL); it does
//     not notice a revocation before that. Long streams must ask again, and ask the
//     session first: one that looks once per request, as package sessions does,
//     needs its Recheck before a second [Check] of the same request means anything.
//   - Equal bytes are not equal time: a membership function that answers faster for
//     sites that do not exist tells so. One indexed query for both is enough.
//   - Nothing here stops a query without the grant's site in it. Row level security
//     in the database is the second fence.
//   - Code in this process that uses package unsafe can forge anything.
//
// # Place among the gates
//
// After the session, before the handler. Identity comes through [Config.Identify],
// which the caller writes on top of its session package.
//
// # Memory
//
// The gate keeps its tables and nothing per request, user or site.
//
// # Example
//
//	type SealCall struct{}
//
//	func (SealCall) Permission() string { return "calls:seal" }
//
//	func seal(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[SealCall]) {
//		// UPDATE calls SET state = 'sealed' WHERE site_id = grant.Site() AND id = ...
//	}
//
//	gate, err := tenancy.New(tenancy.Config{
//		Identify: func(r *http.Request) (tenancy.Principal, error) {
//			s, err := sess.Check(r) // the session package of your choice
//			if errors.Is(err, sessions.ErrNoSession) {
//				return tenancy.Principal{}, tenancy.ErrUnauthenticated
//			}
//			return tenancy.Principal{
//				User: s.User, Level: int(s.Level), AuthTime: s.AuthTime,
//			}, err
//		},
//		Sources: []tenancy.Source{
//			tenancy.FromPath("site_id"),
//			tenancy.FromLookup("call", siteOfCall), // /api/calls/{id}/seal
//		},
//		Member: roleOf, // one indexed query: (user, site) -> role
//		Roles: map[tenancy.Role][]string{
//			tenancy.RoleManager: {"calls:view", "calls:seal"},
//			tenancy.RoleRep:     {"calls:view"},
//		},
//		StepUp: map[string]time.Duration{"calls:seal": 15 * time.Minute},
//	})
//	...
//	mux.Handle("POST /api/calls/{id}/seal", tenancy.Route(gate, seal))
//
// A source that finds nothing in a request names no site; so the two sources above
// serve both kinds of route, and a route that has both must have them agree.
package tenancy
