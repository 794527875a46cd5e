package hmacsig

import (
	"context"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport/internal/response"
)

// contextKey finds the Proof of a request.
type contextKey struct{}

// exchange is everything that one verified request needs, in one allocation:
// its context, its proof, its restored body and its response.
type exchange struct {
	context.Context
	v     *Verifier
	r     *http.Request // as it came in, for hooks
	proof Proof
	body  body
	rw    response.Writer
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
		e, rejection := v.exchange(r)
		if rejection != nil {
			v.reject(w, r, rejection)
			return
		}
		defer e.body.Close() //nolint:errcheck // never fails
		inner := r.WithContext(e)
		e.body.restore(inner)
		if !e.proof.claimed {
			next.ServeHTTP(w, inner)
			return
		}
		e.serve(w, inner, next)
	})
}

// exchange is Check for Wrap: the scratch space goes back before the handler
// runs, and nothing is allocated for a forgery.
func (v *Verifier) exchange(r *http.Request) (*exchange, *Rejection) {
	scratch, _ := works.Get().(*work)
	defer scratch.free()
	signer, rejection := v.verify(r, scratch)
	if rejection != nil {
		v.report(r, nil, rejection)
		return nil, rejection
	}
	e := &exchange{Context: r.Context(), v: v, r: r}
	rejection = v.accept(r, scratch, signer, &e.proof)
	v.report(r, &e.proof, rejection)
	if rejection != nil {
		return nil, rejection
	}
	e.body.move(&scratch.content)
	return e, nil
}

// serve runs next and settles the claim.
func (e *exchange) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	e.rw = *response.New(w, e.settle)
	rw := &e.rw
	// A panic skips the last line: what was not answered is released.
	defer rw.Commit(http.StatusInternalServerError)
	next.ServeHTTP(rw, r)
	rw.Commit(http.StatusOK)
}

// settle runs once, before the answer's header leaves. It outlives the
// request's own cancellation: a client that hangs up must not leave its
// message in flight. The store brings its own deadline.
//
// A streamed body that turned out to be another one releases the claim,
// whatever the handler made of that: the genuine request may be on its way.
func (e *exchange) settle(status int) {
	act := e.v.Release
	if status < http.StatusBadRequest && !e.body.altered() {
		act = e.v.Confirm
	}
	err := act(detached{e}, e.proof)
	if err != nil && e.v.cfg.OnSettleError != nil {
		e.v.cfg.OnSettleError(e.r, err)
	}
}

// detached is context.WithoutCancel without its allocation.
type detached struct{ *exchange }

func (detached) Deadline() (time.Time, bool) { return time.Time{}, false }
func (detached) Done() <-chan struct{}       { return nil }
func (detached) Err() error                  { return nil }

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
