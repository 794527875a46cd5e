// Package sentryscrub keeps personal data and secrets out of Sentry.
//
// # Threat
//
// An error tracker gets what nobody looked at: the message of an error with a
// customer's address in it, the request that failed with its headers, the
// variables of a stack frame, the log of the last minutes. It is another
// company's machine, and every developer can read it.
//
// # Guarantees
//
// [Configure] puts two walls between the application and the network.
//
// The first wall is the SDK's hooks for errors, transactions, logs, metrics and
// breadcrumbs. Hooks that the application set run first, ours last. Each payload
// is rebuilt as a new one from scrubbed copies: the application's maps and
// slices are never written to, and what the SDK keeps in unexported fields (such
// as the sampling context that a remote caller's baggage filled) stays behind.
//
// The second wall is the HTTP client. It parses every outgoing envelope and
// scrubs its headers and items once more, which also covers what reaches no
// hook: check-ins, envelope headers, the names of attachments. It replaces
// leaves only, so that every item keeps the shape that Sentry expects.
//
// SendDefaultPII is off and so are its successors in DataCollection. Names, user
// names, addresses and user data are removed; the user's ID stays unless it is
// personal data by itself. Attachments in UTF-16 are read as text, other binary
// ones are replaced.
//
// Both walls fail closed: a panic in a hook, a cycle, a value beyond the bounds
// of [scrub.Scrubber.Value], an envelope that does not parse or is compressed is
// dropped and counted, never sent as it is.
//
// # Not guaranteed
//
// What no detector recognises and no key denies passes: the name of a person in
// an error message. sentryslog and the logging integrations render values with
// %+v before any hook, unexported fields included: put [scrub.Scrubber.Handler]
// in front of them. The SDK's OpenTelemetry exporter (sentry-go/otel/otlp) sends
// spans by a client of its own, which no hook and no wall sees: scrub its spans
// in a span processor, or do not use it. Baggage that the SDK adds to the
// application's own requests goes to other companies and not to Sentry; put
// [Guard.Transport] below the SDK's round tripper.
//
// A Client whose Transport field is set bypasses the HTTP client; Configure
// refuses that. Do not write to a span's Data or Tags after its transaction
// finished: the SDK reads them then. SENTRYGODEBUG=httpdump has no effect,
// because it would dump in front of the second wall.
//
// # Place among the gates
//
// None: it stands at an exit. Configure is the last to change the options before
// sentry.Init.
//
// # Memory
//
// An envelope is held once as it came and once scrubbed, at most 32 MiB each.
//
// # Example
//
//	options := sentry.ClientOptions{Dsn: dsn}
//	guard, err := sentryscrub.Configure(&options, scrubber)
//	...
//	err = sentry.Init(options)
package sentryscrub
