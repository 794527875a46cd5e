package ratelimit

import (
	"net/http"

	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
)

// MaxPolicies is how many policies one decision may combine.
const MaxPolicies = 8

// Policy is one limit applied to one key. It is a value made per request.
type Policy struct {
	_ [0]func() // keyed literals only

	// Name appears in headers, problem details, hooks and metric labels, and
	// is part of the bucket's identity: two policies never share a bucket. 1
	// to 32 characters of a-z, 0-9, '_', '-' and '.', the same for every
	// tenant, and unique within one decision.
	//
	//	"address", "call-event", "export.daily" // permitted
	//	"", "Address", "site/" + id             // refused
	Name string
	// Limit is the rate. It may differ from call to call; a live bucket is
	// rescaled so that the time until it is full stays what it was.
	Limit Limit
	// Key says whose bucket it is. The zero Key is refused.
	Key Key
	// Cost is what the request takes, in units. Default 1. A cost above the
	// limit's burst is refused with CodeCostExceedsLimit: waiting cannot help.
	Cost int
	// OnOutage says what happens when the store cannot answer. Default Closed.
	OnOutage Outage
	// Shadow counts and reports but never refuses: for trying a limit out.
	// Clients are not told of it.
	Shadow bool
}

// Outage says how a policy decides while its store cannot answer.
type Outage uint8

const (
	// Closed refuses with 503 and Retry-After.
	Closed Outage = iota
	// Local decides from this process's mirror, at 1/Config.Instances of the
	// limit.
	Local
	// Open lets the request pass uncounted.
	Open
)

// String returns "closed", "local" or "open".
func (o Outage) String() string {
	switch o {
	case Closed:
		return "closed"
	case Local:
		return "local"
	case Open:
		return "open"
	}
	return "invalid"
}

// PerAddress limits each client address that package clientaddr has put into
// the context. Requests without one are refused.
func PerAddress(name string, limit Limit) func(*http.Request) Policy {
	return func(r *http.Request) Policy {
		addr, _ := clientaddr.FromContext(r.Context())
		return Policy{Name: name, Limit: limit, Key: AddrKey(addr)}
	}
}

// valid reports whether stores and outages can honour the policy.
func (p *Policy) valid() bool {
	return validName(p.Name) && p.Limit.valid() && p.Cost >= 0 && p.OnOutage <= Open
}

// validName accepts what is safe, unescaped, in a structured field string
// (RFC 9651 section 3.3.3), a JSON string and a metric label.
func validName(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		if !letter && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}
