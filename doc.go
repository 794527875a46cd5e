// Package sallyport is what seven security gates for net/http services have in
// common: how they refuse, what they report, and who acts. Import the gates
// themselves for everything else:
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
// Each package has one exported noun, made by New from a plain Config. New
// reports every problem of the Config at once, each as a [ConfigError]. Check
// decides and renders nothing; Wrap does what Check does around an
// http.Handler, and renders the refusal; FromContext returns what the gate
// proved. Whoever is refused gets a [Refusal], an RFC 9457 problem document.
// Every decision, to allow or to refuse, is handed to Config.OnEvent as an
// [Event]; Config.OnReject replaces the default answer.
//
// One code stands for one reason everywhere: in the problem document, in the
// error that Check returns, in the event, and so in the metric and the alert.
//
// No gate imports another, and all may import this package. What passes between
// them is a [Principal], a [Class], a plain value or a function, and the caller
// composes.
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
// reason that an operator can act on. The zero value and nil of every gate
// refuse with 503 and a code of their own, such as "cors_not_configured". Where
// refusing would take a product down, as for a rate limiter whose store is
// gone, the behaviour is an explicit choice of the caller.
package sallyport
