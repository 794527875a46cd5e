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
// # Use
//
// [ClientAddr] finds whose request it is. A [Limiter] applies policies to it,
// as middleware or, once more is known, by [Limiter.Decide] in a handler:
//
//	addr, err := ratelimit.NewClientAddr(ratelimit.ClientAddrConfig{
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
// [LoginGuard] counts failed logins. [Limiter.Acquire] bounds what runs at the
// same time.
//
// # Order
//
// The limit by address stands in front of everything that costs: body limits,
// signatures, parsing. A limit per tenant stands behind whatever proves the
// tenant, so that nobody can spend another's budget in his name.
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
//   - The in-process store's buckets never use more than 120 bytes per key of
//     its capacity and 256 KiB. No flood of keys gives a denied key new budget: places are
//     reused only once their bucket is full again, and keys that find no place
//     share one bucket per policy.
//   - An account is never locked for everyone by failed logins.
//   - Client addresses come from the connection or from one header that a
//     trusted peer wrote. RemoteAddr is never altered.
//
// # Outage
//
// When the store cannot answer, each policy does as its OnOutage says. Closed
// refuses with 503. Local decides in this process, at 1/Instances of the limit
// and starting from that part of what the store last reported, so that an
// outage does not begin with fresh full buckets: at most that part and one unit
// more. Open lets pass. Decision.Degraded tells of it.
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
// # Sources
//
// GCRA: ITU-T I.371, annex A. Headers: draft-ietf-httpapi-ratelimit-headers-10.
// Problem details: RFC 9457. Forwarded: RFC 7239. Login throttling: OWASP
// Authentication Cheat Sheet, NIST SP 800-63B section 5.2.2.
package ratelimit
