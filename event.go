package sallyport

import "net/http"

// Event is one decision of one gate, to allow or to refuse. Every gate hands
// each of its decisions once to its Config.OnEvent, after it was made: one
// function can log, count and watch them all.
//
//	events := func(ctx context.Context, e sallyport.Event) {
//		decisions.WithLabelValues(e.Gate, e.Code, e.Policy).Inc()
//	}
//	origins, err := cors.New(cors.Config{Origins: list, OnEvent: events})
//	limits, err := ratelimit.New(ratelimit.Config{Store: memory, OnEvent: events})
//
// The function is called synchronously, and concurrently for concurrent
// requests. It cannot change the decision. It must not keep Request after it
// returns, and what it does there, the client waits for.
type Event struct {
	// Gate is the package that decided, as in [Refusal.Gate].
	Gate string
	// Code is why, and never empty: a refusal's code, or the code that the gate
	// has for allowing. Codes are few and known at build time, so they make good
	// labels; Tenant and Actor do not.
	Code string
	// Allowed is false for a refusal.
	Allowed bool
	// Policy is which of the gate's configured rules decided: a rate limit's
	// name, a permission, a signature scheme. Its values come from the
	// configuration, never from the request. It may be empty.
	Policy string
	// Tenant and Actor are whom the decision is about, as far as the gate knows.
	// In a refusal they may be claims that nobody has proved.
	Tenant string
	Actor  string
	// Request is the request as the gate got it; nil outside HTTP, as in a job.
	Request *http.Request
	// Err is the cause of a refusal, for operators only, or nil.
	Err error
	// Detail is the gate's own decision, of the type that its Config.OnEvent
	// names, or nil.
	Detail any
}
