// Package sallyport is the root of seven security gates for net/http services.
// It holds no code: import the package you need.
//
//   - [github.com/opsmantik/sallyport/cors] refuses unlisted origins before the
//     handler runs.
//   - [github.com/opsmantik/sallyport/hmacsig] verifies and makes request
//     signatures.
//   - [github.com/opsmantik/sallyport/ratelimit] limits requests per client
//     address, tenant or account.
//   - [github.com/opsmantik/sallyport/tenancy] turns a site id into a grant.
//   - [github.com/opsmantik/sallyport/scrub] removes personal data and secrets
//     from what leaves the process.
//   - [github.com/opsmantik/sallyport/sessions] keeps people signed in.
//   - [github.com/opsmantik/sallyport/audit] records who did what, so that
//     changing the record is noticed.
//
// # One shape
//
// Each package has one exported noun, made by New from a plain Config whose
// problems are all reported at once. Check is the pure decision, Wrap renders
// it around an http.Handler, and FromContext returns what the gate proved.
// Refusals are RFC 9457 problem details; the code in them is the package's
// Reason, the same in the error, the hook and the metric label.
//
// No package imports another. What two need, such as a client address or a
// tenant, crosses as a plain type or a function value, and the caller composes.
//
// # The order of the gates
//
// Outermost first: panics and security headers; cors, so that the refusals of
// the inner gates carry CORS headers; the client address; the rate limit by
// address, which is cheap and comes before cryptography; the body limit; the
// signature, before anything parses the body; the rate limit by proven tenant;
// the session; site access, role and step-up; the handler; and the audit record
// inside the handler's own transaction. docs/ordering.md says why.
//
// # Fail closed
//
// Unset, empty, malformed, unreachable or ambiguous means refused, with a
// reason that an operator can act on. The zero value of a gate refuses
// everything. Where refusing would take a product down, as for a rate limiter
// whose store is gone, the behaviour is an explicit choice of the caller.
package sallyport
