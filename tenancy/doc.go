// Package tenancy decides who may do what on which site, and makes the decision a
// value that code behind it can demand: in a handler's signature, and in a store's.
//
//	request ──> who? ──> which site? ──> which role? ──> from where? ──> factors? ──> Grant[P]
//	           Identify   Sources,        Member,         Address         Level,       │
//	           401        400, 404        404, 503        403             StepUp 401   └─> Scope, for stores
//
// # Threat
//
// A signed-in user names somebody else's site; a second route forgets the check; a
// check is skipped because there was no identity to check (CVE-2026-44426); two parts
// of a request name two sites and two parts of the program read one each; an API key
// does more than it was made for; a password alone opens what needs a second factor;
// a removed member is let in by a cache.
//
// # Guarantees
//
//   - A [Grant] comes from a [Gate] only. A handler behind [Route] receives the
//     grant as an argument, so one without the check does not compile. A Grant[P]
//     is of its permission's own type: it does not convert into another, one that
//     was made to by package reflect or unsafe fails its Check, and its zero value
//     names no site. The same holds for [Scope].
//   - No identity is a refusal, not a case that skips a step.
//   - Every declared source of the site id must agree, none may repeat it, and at
//     least one must name it. All that comes after sees the one spelling that
//     Config.ParseSite returns.
//   - An unknown site, a site of others and a permission that the role lacks are
//     the same 404, byte for byte.
//   - A role that is not in the table has no permission. An API key has none that
//     is not in its scopes, whatever the role of its user.
//   - A role acts only with a second factor unless its row asks for less; so does
//     everybody for a permission listed in [Config.StepUp], and no API key can do
//     those. The answer is the challenge of RFC 9470.
//   - Lists of networks are compared with an address that the caller has proved. No
//     address, no access.
//   - A failing lookup is 503, never access, and never 404. It is not remembered.
//   - A revoked membership is refused at latest Config.CacheTTL, a second at most,
//     after the revocation, and at once where [Gate.Forget] was called. Forget also
//     ends grants that were made before, and a lookup that was under way.
//   - A service gets a [ServiceGrant], which is another type: only what names it
//     accepts it. It has a reason, and an event.
//
// # Not guaranteed
//
//   - A grant proves access when it was made, and expires (Config.GrantTTL). Without
//     Forget it does not notice a revocation before that; with it, only if the cache
//     still knows the membership. Long streams must ask again.
//   - Equal bytes are not equal time: a membership function that answers faster for
//     sites that do not exist tells so. One indexed query for both is enough.
//   - Nothing here stops a query without the grant's site in it. Row level security
//     in the database is the second fence.
//   - A service grant is made from a name that the calling code gives. It keeps
//     services and users apart in the program; it does not authenticate anybody.
//   - Code in this process that uses package unsafe can forge anything.
//
// # Place among the gates
//
// After the session or the API key, before the handler. Identity comes through
// [Config.Identify]: what sessions and tenancy/apikey prove is a sallyport.Principal.
//
// # Memory
//
// Without a cache the gate keeps its tables and nothing per request, user or site.
// With one it keeps at most Config.CacheSize memberships and half as many answers
// that there is none, of about 200 bytes and the ids each: some 2.5 MB by default.
// The tables do not grow; what is full gives up its oldest.
//
// # Example
//
//	type SealCall struct{}
//
//	func (SealCall) Permission() string { return "calls:seal" }
//
//	func seal(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[SealCall]) {
//		err := store.Seal(r.Context(), grant.Scope(), r.PathValue("id"))
//		...
//	}
//
//	gate, err := tenancy.New(tenancy.Config{
//		Identify: func(r *http.Request) (sallyport.Principal, error) {
//			... // the session or the API key; tenancy.ErrUnauthenticated for neither
//		},
//		Sources: []tenancy.Source{
//			tenancy.FromPath("site_id"),
//			tenancy.FromLookup("call", siteOfCall), // /api/calls/{id}/seal
//		},
//		Member: roleOf, // one indexed query: (user, site) -> role
//		Roles: map[tenancy.Role]tenancy.Rights{
//			"admin": {Permissions: []string{"calls:view", "calls:seal"}}, // and a second factor
//			"rep":   {Permissions: []string{"calls:view"}, Level: sallyport.AAL1},
//		},
//		StepUp:   map[string]time.Duration{"calls:seal": 15 * time.Minute},
//		CacheTTL: time.Second,
//	})
//	...
//	sealing, err := tenancy.Route(gate, seal)
//	...
//	mux.Handle("POST /api/calls/{id}/seal", sealing)
//
// A source that finds nothing in a request names no site; so the two sources above
// serve both kinds of route, and a route that has both must have them agree.
package tenancy
