package clientaddr

import (
	"errors"
	"net/http"

	"github.com/opsmantik/sallyport/internal/refusal"
)

// The codes of this package's decisions.
const (
	// CodeFound: the request has a client address. Allowed.
	CodeFound = "client_address_found"
	// CodeForwardedMalformed: a trusted proxy sent a header that holds no usable
	// client address. 400.
	CodeForwardedMalformed = "forwarded_malformed"
	// CodePeerUnknown: the connection's own address is none: that of a Unix
	// socket, without Config.TrustUnixSocket. 400.
	CodePeerUnknown = "peer_unknown"
	// CodePeerRewritten: the connection's own address is not as net/http writes
	// it. Something in front of this gate has replaced it. 500.
	CodePeerRewritten = "peer_rewritten"
	// CodeNotConfigured: the zero value was used. 503.
	CodeNotConfigured = "clientaddr_not_configured"
)

const gate = "clientaddr"

var kinds = []refusal.Kind{
	{
		Code: CodeForwardedMalformed, Status: http.StatusBadRequest,
		Title: "The forwarding headers could not be read",
	},
	{
		Code: CodePeerUnknown, Status: http.StatusBadRequest,
		Title: "The client could not be identified",
	},
	{
		Code: CodePeerRewritten, Status: http.StatusInternalServerError,
		Title: "Client addresses are misconfigured",
	},
	{
		Code: CodeNotConfigured, Status: http.StatusServiceUnavailable,
		Title: "Client addresses are not configured",
	},
}

var unnamed = refusal.NewTable(gate, "", kinds...)

var (
	errNotConfigured = errors.New("clientaddr: zero value used; call New")
	errUnixSocket    = errors.New("clientaddr: the peer is a Unix socket; set TrustUnixSocket " +
		"and the Header that the proxy behind it writes")
	errRewritten = errors.New("clientaddr: RemoteAddr has no port, so net/http did not write it; " +
		"remove the middleware in front that rewrites it (chi's RealIP, gorilla's ProxyHeaders)")
)
