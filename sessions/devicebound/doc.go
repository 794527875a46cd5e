// Package devicebound binds sessions to the browser that they began in (Device
// Bound Session Credentials, DBSC, https://w3c.github.io/webappsec-dbsc/), so that a
// stolen cookie dies within minutes.
//
// # Threat
//
// Malware, a browser extension, a leaked HAR file or a proxy copies the session
// cookie, and somebody uses it elsewhere, past every second factor.
//
// # Guarantees
//
//   - The browser keeps a private key that cannot be exported, where the device has a
//     place for it, and proves it about every [Config.Life]. A bound session without a
//     recent proof is refused, and the attempt is an event.
//   - A key is registered once per session, only within [Config.Window] after a sign-in
//     or step-up, and only over a challenge that the server issued then.
//   - A challenge is random, works once, for one session, until it expires. Proofs are
//     ES256 or RS256, as the registered key has it; "none", another algorithm, a key
//     within a later proof, and a second spelling of a part are refused.
//   - What a browser says about why it has no proof (Secure-Session-Skipped) is told to
//     the hook and excuses nothing.
//   - The short-lived cookie is as hardened as the session's; the server keeps its hash
//     and its end, and does not rely on the browser to forget it.
//
// # Not guaranteed
//
//   - For up to Config.Life a thief who copied both cookies is not noticed.
//   - Browsers without DBSC are not bound. [Preferred] lets them in as before;
//     [Required] refuses them.
//   - Malware that stays on the device can ask the browser for proofs.
//   - A browser gives up its key when a refresh fails for good, as when a proxy drops it
//     (https://github.com/w3c/webappsec-dbsc/issues/249). Its user signs in again: the
//     session, which a thief may hold as well, stays refused.
//   - Whoever steals the session within Config.Window after its beginning may register
//     a key first. The owner's browser is then refused, which is noticed.
//   - Ends are compared by the clocks of the instances, which should agree to a second.
//
// # Place among the gates
//
// [Gate.Wrap] stands where sessions.Manager.Wrap would. The two endpoints stand outside
// it, behind rate limits.
//
// # Memory
//
// About 800 bytes of the session's data: the key, and up to four challenges and four
// cookies. An RSA key takes 500 bytes more. sessions.Config.MaxData includes it.
//
// # Format
//
// The exchange:
//
//	browser                                         server
//	POST /login                              ->
//	                                         <-     Secure-Session-Registration:
//	                                                (ES256 RS256);path="/session/device";challenge="c1"
//	POST /session/device
//	Secure-Session-Response: JWT(c1, key)    ->     stores the key
//	                                         <-     JSON instructions, Set-Cookie: the short-lived one
//	... when that cookie is about to end:
//	POST /session/device/refresh
//	Sec-Secure-Session-Id: "id"              ->
//	                                         <-     403, Secure-Session-Challenge: "c2";id="id"
//	POST /session/device/refresh
//	Secure-Session-Response: JWT(c2)         ->     verifies with the stored key
//	                                         <-     Set-Cookie: the next one
//
// # Example
//
//	type Data struct {
//		Device devicebound.Binding
//	}
//	device, err := devicebound.New(devicebound.Config[Data]{
//		Sessions: sess,
//		Binding:  func(d *Data) *devicebound.Binding { return &d.Device },
//		Policy:   map[sallyport.Level]devicebound.Policy{sallyport.AAL2: devicebound.Required},
//	})
//	...
//	mux.Handle("POST /session/device", device.Register())
//	mux.Handle("POST /session/device/refresh", device.Refresh())
//	mux.Handle("POST /login", sess.Load(http.HandlerFunc(
//		func(w http.ResponseWriter, r *http.Request) {
//			err := sess.Start(r.Context(), login, Data{}) // after the password was verified
//			...
//			err = device.Offer(w, r)
//			...
//		})))
//	mux.Handle("GET /account", device.Wrap(account))
package devicebound
