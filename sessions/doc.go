// Package sessions keeps people signed in: typed data behind an opaque token in
// a hardened cookie, with exact idle and absolute expiry.
//
// # Threat
//
// Somebody else uses a session: by guessing or planting a token, by stealing one
// from a backup or a log, by keeping one alive after logout, or by racing a slow
// request against a logout, a login or a step-up.
//
// # Guarantees
//
//   - A token has 248 random bits; a store sees only its SHA-256 (ASVS 7.2.3).
//   - Start and StepUp issue a new token; a token that the server did not issue is
//     never adopted (ASVS 7.2.4, [NIST SP 800-63B-4 section 5]).
//   - A session ends after exactly [Config.Idle] without use and exactly
//     [Config.Lifetime] after its authentication event, by the store's clock
//     (ASVS 7.3.1, 7.3.2). A store may end it earlier by the resolution that it
//     states, and never later.
//   - Logout, End, EndOthers, EndUser and EndEveryone are final: nothing writes a
//     session back. [Manager.Update] compares and replaces a session that still
//     lives, and it is the only way to write, so no update is lost either.
//   - The cookie is HttpOnly, Secure, SameSite=Strict, Path=/, without a Domain; a
//     response that showed the session inside [Manager.Load] is never stored by a
//     cache. [Manager.Check] without Load has no response to mark: do it yourself.
//   - The cookie changes only when Start, StepUp or Logout say so. A slow request
//     with a dead token never clears or replaces the browser's newer one.
//   - After a step-up the old token still reads for [Grace], so that requests that
//     other tabs have already sent are answered. It has its old level, is refused
//     for every method but GET, HEAD and OPTIONS, and dies with the session.
//   - A store that is down is never mistaken for "no session", and does not
//     disturb a handler that does not use the session.
//
// # Not guaranteed
//
//   - A stolen cookie works until it expires or is ended, unless package
//     devicebound binds the session to the browser's key. A change of address or
//     browser is reported in [Decision], and ends nothing.
//   - One request sees one truth: what ended meanwhile is noticed by writes, by the
//     next request, and by [Manager.Recheck], which long streams should call.
//   - Only requests that use the session count as activity; requests through
//     [Manager.LoadPassive] (polling, event streams) never do.
//   - SameSite=Strict withholds the cookie on a navigation from another site: links
//     in e-mail and OAuth callbacks arrive looking signed out. Land them on a page
//     that navigates once more within the site.
//   - SameSite alone is no protection against cross-site request forgery (CSRF):
//     other hosts of the same site, such as a customer's subdomain, are not cross-site
//     for it, and old browsers do not know it. Put [net/http.CrossOriginProtection]
//     around [Manager.Load], as in the example below.
//   - Ending a user's sessions does not stop a sign-in that is still being checked;
//     disable the account first, end its sessions after.
//   - Some clients (net/http/cookiejar among them) do not send a Secure cookie to
//     http://127.0.0.1; Chromium and curl do, so development needs no insecure mode.
//
// # Place among the gates
//
// After origins, rate limits and signatures, before site access: tenancy takes the
// [Info.Principal] of a session. Cross-origin protection stands outside Load, so
// that a forged request does not even count as activity.
//
// # Memory
//
// [Memory] holds at most MaxSessions sessions of at most MaxData bytes of data and
// about 350 bytes of overhead each. Those that are over are removed a few at a time
// by each lookup and sign-in, and the tables shrink with them; there is no sweep and
// no goroutine.
//
// # Format
//
// A token is 33 bytes in unpadded base64url (44 characters): a 2-byte slot tag,
// then 31 random bytes. The tag is 14 bits of the SHA-256 of the user id, so that a
// clustered store can keep a user's sessions in one slot while it knows only the
// token. It proves nothing and is covered by the hash.
//
// # Example
//
//	store, err := sessions.NewMemory(sessions.MemoryConfig{})
//	...
//	sess, err := sessions.New[Profile](sessions.Config{Store: store})
//	...
//	mux.HandleFunc("POST /auth/login", func(w http.ResponseWriter, r *http.Request) {
//		// after the password has been verified:
//		login := sessions.Login{User: user.ID, Level: sallyport.AAL1}
//		err := sess.Start(r.Context(), login, Profile{})
//		...
//	})
//	mux.HandleFunc("POST /auth/totp", func(w http.ResponseWriter, r *http.Request) {
//		// after the one-time code has been verified for this session's user:
//		err := sess.StepUp(r.Context(), sallyport.AAL2)
//		...
//	})
//	mux.Handle("GET /profile", sess.Wrap(http.HandlerFunc(
//		func(w http.ResponseWriter, r *http.Request) {
//			s, _ := sess.FromContext(r.Context()) // s.User, s.Level, s.Data
//			err := sess.Update(r.Context(), func(p *Profile) error {
//				p.Visits++ // runs again if another request stored first
//				return nil
//			})
//			...
//		})))
//	server.Handler = http.NewCrossOriginProtection().Handler(sess.Load(mux))
//
// An error is a *[sallyport.Refusal] that matches [ErrNoSession] (sign in) or
// [ErrUnavailable] (try again), or one of [ErrCommitted], [ErrTooLarge] and
// [ErrInvalid], or of encoding/json about a T, which are mistakes of the program.
// Update also returns what its function does, and [ErrConflict] if a thousand other
// writes came first; StepUp shares that one.
//
// [NIST SP 800-63B-4 section 5]: https://pages.nist.gov/800-63-4/sp800-63b.html#sec5
package sessions
