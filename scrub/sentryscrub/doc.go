// Package sentryscrub keeps personal data and secrets out of Sentry.
//
//	options := sentry.ClientOptions{Dsn: dsn}
//	guard, err := sentryscrub.Configure(&options, scrubber)
//	...
//	err = sentry.Init(options)
//
// Configure puts two walls between the application and the network.
//
// The first wall is the SDK's hooks for errors, transactions, logs, metrics
// and breadcrumbs. Hooks that the application set run first, ours last. Each
// payload is rebuilt as a new one from scrubbed copies: the application's
// maps and slices are never written to, and what the SDK keeps in unexported
// fields (such as the sampling context that a remote caller's baggage filled)
// stays behind.
//
// The second wall is the HTTP client. It parses every outgoing envelope and
// scrubs its headers and items once more, which also covers what reaches no
// hook: check-ins, envelope headers, attachments' names.
//
// # Guarantees
//
// SendDefaultPII is off and so are its successors in DataCollection. Names,
// user names, addresses and user data are removed, the user's ID stays unless
// it is personal data by itself. Both walls fail closed: a panic in a hook, a
// cycle, a value beyond the bounds of [scrub.Scrubber.Value], an envelope that
// does not parse or is compressed is dropped and counted, never sent as it is.
//
// # Non-guarantees
//
// What no detector recognises and no key denies passes: the name of a person
// in an error message. sentryslog and the logging integrations render values
// with %+v before any hook, unexported fields included: put
// [scrub.Scrubber.Handler] in front of them. A Client whose Transport field
// is set bypasses the HTTP client; Configure refuses that. Do not write to a
// span's Data or Tags after its transaction finished: the SDK reads them then.
// SENTRYGODEBUG=httpdump has no effect, because it would dump in front of the
// second wall.
package sentryscrub
