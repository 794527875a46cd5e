// Package problem renders refusals as problem details (RFC 9457).
//
// A client learns what was refused and the code to branch on, never why in
// detail: causes go to the hooks of the package that refused.
package problem

import (
	"encoding/json"
	"maps"
	"net/http"
)

// DefaultBase makes every type URI resolve to the page that explains its code.
const DefaultBase = "https://github.com/opsmantik/sallyport/blob/main/docs/problems.md#"

// Problem is one kind of refusal, encoded once and written many times. It is
// immutable and safe for concurrent use.
type Problem struct {
	status int
	body   []byte
}

// New encodes a problem. The type URI is base, or DefaultBase if that is empty,
// and the code. Code is the machine-readable reason (lower_snake); members are
// extension members (RFC 9457 section 3.2), may be nil, and cannot replace the
// four members that every problem has.
func New(base string, status int, code, title string, members map[string]any) *Problem {
	if base == "" {
		base = DefaultBase
	}
	all := make(map[string]any)
	maps.Copy(all, members)
	all["type"] = base + code
	all["title"] = title
	all["status"] = status
	all["code"] = code
	body, err := json.Marshal(all)
	if err != nil {
		// Only a member that JSON cannot hold gets here; the refusal itself
		// must still go out.
		return New(base, status, code, title, nil)
	}
	return &Problem{status: status, body: append(body, '\n')}
}

// Status returns the HTTP status of the problem.
func (p *Problem) Status() int { return p.status }

// Write sends the problem. It drops the headers that described another body,
// as http.Error does, and leaves the rest (Vary, CORS, Retry-After) alone.
func (p *Problem) Write(w http.ResponseWriter) { p.WriteWith(w, make([]string, headers)) }

// headers is how many values Write sets.
const headers = 3

// WriteWith is Write with the backing array of the header values given by the
// caller, who then has one allocation for these and for values of its own. Free
// must have room for three and be used for nothing else.
func (p *Problem) WriteWith(w http.ResponseWriter, free []string) {
	_ = free[headers-1]
	h := w.Header()
	for _, name := range [...]string{"Content-Length", "Content-Encoding", "Etag", "Last-Modified"} {
		delete(h, name)
	}
	// Each slice is capped, so that an append elsewhere cannot write into its
	// neighbour.
	free[0], free[1], free[2] = "application/problem+json", "no-store", "nosniff"
	h["Content-Type"] = free[0:1:1]
	h["Cache-Control"] = free[1:2:2]
	h["X-Content-Type-Options"] = free[2:3:3]
	w.WriteHeader(p.status)
	// The client may be gone; there is nobody left to tell.
	_, _ = w.Write(p.body)
}
