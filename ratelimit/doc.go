// Package ratelimit limits how often clients may do things: exactly, across
// many processes, and predictably when the shared store is not there.
//
// # Threat
//
// Clients that ask too often, by accident or to exhaust, guess or scrape:
// from one address, from a whole IPv6 network, through forged forwarding
// headers, with millions of keys so that the limiter itself runs out of
// memory, or at the moment when the store behind it is down.
//
// # Guarantees
//
//   - A bucket starts full. In any span of time t it admits at most
//     Burst + Count*t/Window units, and at once exactly Burst. Arithmetic is in
//     whole nanoseconds, rounded so that it never admits more.
//   - Policies decided together are charged together or not at all.
//   - A refused request can pass after RetryAfter, if nobody else spends the
//     budget. A cost that can never pass is refused as such, without a wait.
//   - Nothing is charged for an invalid policy, a missing key, or by the zero
//     value: they are refused.
//   - No flood of keys gives a denied key new budget: places are reused only once
//     their bucket is full again, and keys that find no place share one bucket per
//     policy. Whoever is refused takes no place.
//   - A change of limits locks nobody out: a bucket that owes more than its new
//     limit can hold is empty, and refills from then on. It forgives nothing under
//     another limit either, until something is charged.
//   - A place in flight is given back when the handler returns, when a hijacked
//     connection is closed, or after its lease, should the process die.
//
// # Not guaranteed
//
//   - After an outage, the store knows nothing of what was admitted meanwhile.
//   - Across processes all this needs a shared store, package redislimit; the
//     in-process store counts for itself.
//   - An address is not a person: users behind one NAT or proxy share it, and
//     who owns many networks has many. [PrefixKey] builds outer tiers.
//   - While a flood fills the table, new clients share the overflow bucket with
//     it. Size MaxKeys for the clients you have, many times over.
//   - Keys are hashed to 64 bits with a secret of the process. Two keys collide,
//     and then share a bucket, once in 2^64 pairs.
//
// # Place among the gates
//
// The limit by address stands in front of everything that costs: body limits,
// signatures, parsing. A limit per tenant stands behind whatever proves the
// tenant, so that nobody can spend another's budget in his name. Package clientaddr
// stands in front of both; loginguard stands in the handler of the sign-in.
//
// # Memory
//
// The in-process store uses 20 bytes per key of its capacity and 64 KiB, taken as
// keys come. A place in flight is one map entry and one timer.
//
// # Outage
//
// When the store cannot answer, each policy does as its OnOutage says. Closed
// refuses with 503. Local decides in this process, at 1/Instances of the limit
// and starting from that part of what the store last reported, so that an
// outage does not begin with fresh full buckets: at most that part and one unit
// more. Open lets pass. Decision.Degraded tells of it. A cost that fits the limit
// and not the part is refused with 503, since that will pass, and never as too
// large.
//
// # Example
//
//	addr, err := clientaddr.New(clientaddr.Config{
//		Header: "X-Forwarded-For", TrustedProxies: ourProxies,
//	})
//	...
//	limiter, err := ratelimit.New(ratelimit.Config{
//		Policies: []func(*http.Request) ratelimit.Policy{
//			ratelimit.PerAddress("address", ratelimit.PerMinute(600)),
//		},
//	})
//	...
//	http.Handle("/", addr.Wrap(limiter.Wrap(app)))
//
//	// In app, when the site and its plan are known:
//	if !limiter.Answer(w, r, limiter.Decide(r.Context(), ratelimit.Policy{
//		Name:  "site",
//		Key:   ratelimit.TextKey("events").In(site.ID),
//		Limit: ratelimit.PerMinute(site.RatePerMinute),
//	})) {
//		return
//	}
//
// # Sources
//
// GCRA: ITU-T I.371, annex A. Headers: draft-ietf-httpapi-ratelimit-headers-10.
// Problem details: RFC 9457.
package ratelimit
