// Package gatetest attacks the routes of a server, in its own tests.
//
// A gate that works does not protect a route that forgot it. Declare what is
// true of each route, and [Run] tries every attack that contradicts it: pages of
// other sites, requests that are unsigned, altered or replayed, floods, endless
// bodies, other users' objects, planted, doubled and ended sessions, nobody at all.
// It looks for secrets in the access log, and fails on routes that nobody declared.
//
//	func TestRoutesHold(t *testing.T) {
//		gatetest.Run(t, gatetest.Suite{
//			New: func(tb testing.TB, log io.Writer) http.Handler {
//				return newServer(tb, log) // a fresh one, with empty stores
//			},
//			Listed: "https://shop.example.com", // whose pages may call
//			Own:    "https://api.example.com",  // where the server is reached
//			SignIn: [2]gatetest.SignIn{signIn("alice"), signIn("bob")},
//			Served: patterns, // all of them: chi.Walk, or your own list of a ServeMux
//			Routes: []gatetest.Route{
//				{Pattern: "GET /healthz", Public: true, Accept: gatetest.Accepted{
//					"cors": "says nothing that a page could not know",
//				}},
//				{Pattern: "POST /events", Public: true, Browser: true, Body: `{}`, Limit: 100},
//				{Pattern: "POST /webhooks/paid", Public: true, Body: `{}`, Sign: sign},
//				{
//					Pattern: "DELETE /orders/{id}", Request: "DELETE /orders/alices",
//					Other: "/orders/bobs",
//				},
//			},
//		})
//	}
//
// A chi router tells its routes, and a fiber or echo one has a method for it:
//
//	err := chi.Walk(router, func(method, route string, _ http.Handler,
//		_ ...func(http.Handler) http.Handler) error {
//		patterns = append(patterns, method+" "+route)
//		return nil
//	})
//
// # What counts as refused
//
// Refused by the right gate: an attack on the signature has to fail for its
// signature, not because the flood before it used up the limit, and not because
// the handler happened to return 400. The kit reads the code of the problem
// document and compares it with the codes that this module's gates have for the
// attack. [Suite].Codes translates codes of your own.
//
// Each finding says the route, the gate that should have refused, the attack,
// what came back and how to fix it. [Route].Accept excuses an attack that does
// not matter on a route, with the reason; an excuse that is not needed, because
// the attack is refused, is a finding too.
//
// # Tenants
//
// With [Suite].Tenants, every tenant is played against every other. The kit needs what
// each owns, by kind, and the routes say where an id belongs:
//
//	Tenants: func(testing.TB, http.Handler) []gatetest.Tenant {
//		return []gatetest.Tenant{
//			{
//				Name: "acme", Users: []gatetest.SignIn{signIn("admin@acme"), signIn("rep@acme")},
//				IDs:      map[string][]string{"site": {"7"}, "order": {"8c5f26ff-..."}},
//				Canaries: []string{"Acme's only customer"},
//			},
//			{Name: "globex", ...},
//		}
//	},
//	Routes: []gatetest.Route{
//		{Pattern: "GET /sites/{site}/orders"},
//		{Pattern: "POST /orders/{order}/cancel"}, // a child by its own id alone
//		{Pattern: "POST /merge", Body: `{"into":"{order}","orders":["{order}"]}`},
//	},
//
// Every id of the other tenant goes into every place, one at a time and all at once:
// path, query, headers, cookies, form, JSON members, nested ones and arrays, also where
// the route does not ask for one; with every method; in some forty spellings, such as
// percent-encoded twice, in another case, without dashes, with a null byte, in a list
// after one's own. Four things must not come of it:
//
//   - data: no answer has the other's canaries or ids;
//   - change: what the other reads by GET, with his own credential, is as it was, and
//     what one reads oneself has nothing of his;
//   - a difference: status, headers and body are those for an id that exists nowhere.
//     What differs between two such ids, as a request's id does, is left out, and each
//     difference is confirmed on fresh servers;
//   - a difference in time of half a millisecond or more. Requests go in pairs, in an
//     order that a coin decides; a finding takes a run that coins show once in a billion
//     tries, so that load on the machine makes none.
//
// A finding names the tenant, the place, the spelling and what differs. Routes that
// change something cost a server for each request that they accept.
//
// # What it does not do
//
// It tries what is known, on the requests that you declare. It does not search
// for injections, read your code or test your business rules, and a gate that is
// wrong in a way that no attack here tries passes. Requests to other hosts are
// never made: everything stays in the process, or on loopback.
package gatetest
