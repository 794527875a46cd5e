// Package loginguard slows down the guessing of passwords and second factors,
// without giving anybody the power to lock others out.
//
// # Threat
//
// Somebody who guesses: many passwords on one account, one password on many
// accounts, six digits of a second factor behind a stolen password; from one
// address, from a whole IPv6 network, from thousands of addresses. And somebody
// who does not guess at all, but fails on purpose so that the owner of an account,
// the office next door or everybody is refused.
//
// # Guarantees
//
//   - Only a proven failure counts. Attempts under way, hang-ups and errors of the
//     store cost nothing: too many at once wait for a moment, and are then asked to
//     come back in a second (503), never banned.
//   - One address makes at most Failures guesses on an account and AddressFailures
//     over all accounts before it is banned, its /56 four times and its /48
//     sixteen times as many, and parallel guesses get no further than slow ones.
//   - Strangers, taken together, make at most AccountFailures guesses on one
//     account and a tenth of that each hour. A device that has signed in before
//     (Remember) is no stranger: neither this budget nor the bans of addresses
//     apply to it, but a count of its own.
//   - At most FactorFailures second factors in a row are wrong, from wherever,
//     before the account's second factor is paused. A right password forgives
//     none, and devices that the account knows are not paused with the rest.
//   - Retry-After is true: after it the same attempt is admitted, if nobody else
//     has spent the budget meanwhile.
//   - A refused attempt leaves nothing behind. Should the table be full all the
//     same, newcomers are paced, 20 a second in this process, and nobody is banned
//     for what others did.
//   - Accounts need not exist, so answers do not tell which do. An account is
//     folded to lower case and trimmed, and stored as a keyed hash.
//
// # Not guaranteed
//
//   - While strangers guess at an account, its owner on a new device waits like
//     them: up to six minutes with the default AccountFailures.
//   - Whoever steals the token of a known device has that device's count of
//     guesses. It signs nobody in.
//   - Whoever owns very many networks has very many addresses. Watch the events.
//   - What is under way is bounded by address, device and account, not by /56 and
//     /48: guesses that start together in many /64s may exceed those two by as many.
//   - An address that many people share can be banned by one of them, for those whose
//     devices are not known.
//
// # Place among the gates
//
// In the handler of the sign-in, behind the limit by address, before the password
// is hashed and before the body is believed.
//
// # Memory
//
// Without a Store, 20 bytes per key of MaxKeys. A failure takes up to five keys (three
// networks, the address on the account, the account) until it is forgotten, and a ban
// two more. An attempt under way takes three places among those in flight.
//
// # Sources
//
// OWASP Authentication Cheat Sheet, and Slow Down Online Guessing Attacks with
// Device Cookies; NIST SP 800-63B-4 section 3.2.2; OWASP ASVS 5 section 6.3.
//
// # Example
//
//	attempt, err := guard.Begin(r.Context(), loginguard.Login{
//		Addr: addr, Account: email, Device: cookie, Request: r,
//	})
//	if !guard.Answer(w, r, err) {
//		return
//	}
//	defer attempt.Release()
//	if attempt.Wait(r.Context()) != nil {
//		return
//	}
//	if !right(password) {
//		attempt.Fail(r.Context())
//		...
//	}
//	if err := attempt.Succeed(r.Context()); err != nil {
//		... // log it: some failures were not forgotten
//	}
package loginguard
