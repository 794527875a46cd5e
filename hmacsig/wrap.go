package hmacsig

import (
	"context"
	"net/http"

	"github.com/opsmantik/sallyport/internal/response"
)

// contextKey finds the Proof of a request.
type contextKey struct{}

// exchange is everything that one verified request needs, in one allocation:
// its context, its proof and its restored body.
type exchange struct {
	context.Context
	proof Proof
	body  body
}

// Value adds the proof to the request's context.
func (e *exchange) Value(name any) any {
	if name == (contextKey{}) {
		return &e.proof
	}
	return e.Context.Value(name)
}

// FromContext returns what the request proved, and false if no Verifier has
// let it through.
func FromContext(ctx context.Context) (Proof, bool) {
	p, ok := ctx.Value(contextKey{}).(*Proof)
	if !ok {
		return Proof{}, false
	}
	return *p, true
}

// Wrap verifies requests before next sees them.
//
// The claim is settled by the status that next answers with, before the
// header leaves: below 400 the message is confirmed and can never be accepted
// again; from 400 on, and when next panics, it is released, because what was
// answered with an error must have had no effect and senders retry it (QStash
// whatever is not 2xx, the tracker 429 and 5xx). A handler that has had its
// effect must say so with a success.
func (v *Verifier) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := &exchange{Context: r.Context()}
		proof, rejection := v.check(r, &e.body)
		if v.cfg.OnDecision != nil {
			v.cfg.OnDecision(r, Decision{Proof: proof, Rejection: rejection})
		}
		defer e.body.Close() //nolint:errcheck // never fails
		if rejection != nil {
			v.reject(w, r, rejection)
			return
		}
		e.proof = proof
		inner := r.WithContext(e)
		e.body.restore(inner)
		if !proof.claimed {
			next.ServeHTTP(w, inner)
			return
		}
		v.serve(w, inner, next, e)
	})
}

// serve runs next and settles the claim. A streamed body that turned out to be
// another one releases it, whatever the handler made of that: the genuine
// request may still be on its way.
func (v *Verifier) serve(w http.ResponseWriter, r *http.Request, next http.Handler, e *exchange) {
	rw := response.New(w, func(status int) {
		v.settle(r, e.proof, status < http.StatusBadRequest && !e.body.altered())
	})
	// A panic skips the last line: what was not answered is released.
	defer rw.Commit(http.StatusInternalServerError)
	next.ServeHTTP(rw, r)
	rw.Commit(http.StatusOK)
}

// settle outlives the request's own cancellation: a client that hangs up must
// not leave its message in flight. The store brings its own deadline.
func (v *Verifier) settle(r *http.Request, p Proof, done bool) {
	act := v.Release
	if done {
		act = v.Confirm
	}
	err := act(context.WithoutCancel(r.Context()), p)
	if err != nil && v.cfg.OnSettleError != nil {
		v.cfg.OnSettleError(r, err)
	}
}

// reject renders a refusal. Retryable ones say when.
func (v *Verifier) reject(w http.ResponseWriter, r *http.Request, rejection *Rejection) {
	switch rejection.Status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "5")
	case http.StatusRequestEntityTooLarge:
		// As http.MaxBytesReader does: what is left of the body is not read.
		w.Header().Set("Connection", "close")
	}
	if v.cfg.OnReject != nil {
		v.cfg.OnReject(w, r, rejection)
		return
	}
	if v.problems == nil {
		notConfigured().Write(w)
		return
	}
	v.problems[rejection.Reason].Write(w)
}
