package relay

import "github.com/opsmantik/sallyport/hmacsig/ephemeral"

// The codes of this package's events, which have no Request.
const (
	// CodeRelayOpened: a relay was allocated. Allowed.
	CodeRelayOpened = "voice_relay_opened"
	// CodeRelayUsed: what a relay has carried so far, each minute. Allowed.
	CodeRelayUsed = "voice_relay_used"
	// CodeRelayClosed: a relay is closed, and what it has carried. Allowed.
	CodeRelayClosed = "voice_relay_closed"
	// CodeRelayRefused: no such credentials, another peer than those of the list, a
	// transport that there is none of, or too many relays.
	CodeRelayRefused = "voice_relay_refused"
)

// PolicyStranger is the Policy of refusals of who has no credentials: anybody can cause
// them, as many as he likes.
const PolicyStranger = "stranger"

// Usage is the Detail of the events of this package.
type Usage struct {
	// Session is what the credentials were for; zero for strangers.
	Session ephemeral.Session
	// In is what has come from the media server, Out what has gone to it, in bytes.
	In, Out int64
	// Dropped are datagrams that were above the session's quota, or for another peer.
	Dropped int64
}
