package hmacsig

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/refusal"
	"github.com/opsmantik/sallyport/internal/response"
)

// contextKey finds the Proof of a request.
type contextKey struct{}

// exchange is everything that one verified request needs, in one allocation:
// its context, its proof, its restored body, the request as the handler sees
// it, and its response.
type exchange struct {
	v     *Verifier
	outer *http.Request // as it came in
	inner http.Request
	proof Proof
	body  body
	rw    response.Writer

	// What is known of the answer when its header leaves.
	code int32
	// late: the request was over by then. The client had hung up, or an
	// http.TimeoutHandler around this gate had answered in our place.
	late bool
	// abandoned: an http.TimeoutHandler inside this gate answered for a handler
	// that may still run.
	abandoned bool
}

// The context of the request, with the proof in it.

func (e *exchange) Deadline() (time.Time, bool) { return e.outer.Context().Deadline() }
func (e *exchange) Done() <-chan struct{}       { return e.outer.Context().Done() }
func (e *exchange) Err() error                  { return e.outer.Context().Err() }

func (e *exchange) Value(name any) any {
	if name == (contextKey{}) {
		return &e.proof
	}
	return e.outer.Context().Value(name)
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

// Wrap verifies requests before next sees them, and refuses the others.
//
// While next runs, the message is in flight: the same one again is
// CodeInFlight. When next has returned, the claim is settled once.
//
//   - Confirmed, so that the same message again is CodeReplayed: a success that
//     left. The status is 200 to 299, or 101 of a hijacked connection; it was
//     written, or next returned silently, while the client was there; no write
//     has failed; and a gRPC answer ends with grpc-status 0.
//   - Released, so that the sender's retry is handled: everything else. A
//     redirect, an error, a panic, a client that hung up before the answer. What
//     was not answered with a success must have had no effect.
//   - Left in flight until its window closes: an answer by an
//     http.TimeoutHandler inside the gate, because its handler may still run.
//     Put http.TimeoutHandler around the gate instead.
//
// A Scheme may count other statuses as a success (Scheme.Done).
func (v *Verifier) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e, refused := v.exchange(r)
		if refused != nil {
			v.reject(w, r, refused)
			return
		}
		defer e.body.Close() //nolint:errcheck // never fails
		if !e.proof.claimed {
			next.ServeHTTP(w, &e.inner)
			return
		}
		e.serve(w, next)
	})
}

// exchange is Check for Wrap. Nothing but the Refusal is allocated for a
// forgery.
func (v *Verifier) exchange(r *http.Request) (*exchange, *sallyport.Refusal) {
	w, _ := works.Get().(*work)
	signer, refused := v.verify(r, w)
	if refused != nil {
		v.report(r, w, nil, refused)
		w.free()
		return nil, refused
	}
	e := &exchange{v: v, outer: r}
	refused = v.accept(r, w, signer, &e.proof)
	v.report(r, w, &e.proof, refused)
	if refused != nil {
		w.free()
		return nil, refused
	}
	// WithContext is inlined, so that its copy of the request is not a second
	// allocation (TestAllocations).
	e.inner = *r.WithContext(e)
	e.body.keep(w, &e.inner)
	return e, nil
}

// serve runs next and settles the claim when it is done.
func (e *exchange) serve(w http.ResponseWriter, next http.Handler) {
	e.rw.Init(w, e)
	returned := false
	defer func() { e.settle(returned) }()
	next.ServeHTTP(&e.rw, &e.inner)
	returned = true
}

// BeforeHeader notes how the answer leaves.
func (e *exchange) BeforeHeader(code int) {
	e.code = int32(code) // #nosec G115 -- net/http admits three digits
	e.late = e.Err() != nil
	e.abandoned = code == http.StatusServiceUnavailable && fromTimeoutHandler()
}

// settle runs once. It outlives the request's own cancellation: a client that
// hangs up must not leave its message in flight. The store brings its own
// deadline.
func (e *exchange) settle(returned bool) {
	err := errAbandoned
	switch {
	case e.abandoned:
	case returned && e.done():
		err = e.v.Confirm(detached{e}, e.proof)
	default:
		err = e.v.Release(detached{e}, e.proof)
	}
	if err != nil && e.v.cfg.OnEvent != nil {
		e.v.cfg.OnEvent(e.outer.Context(), sallyport.Event{
			Gate: gateName, Code: CodeClaimNotSettled, Allowed: true,
			Policy: e.v.cfg.Scheme.Name, Tenant: e.proof.KeyID, Actor: e.proof.Subject,
			Request: e.outer, Err: err, Detail: e.proof,
		})
	}
}

// done reports whether the answer was a success that left.
func (e *exchange) done() bool {
	if !e.rw.Committed() {
		// Nothing was written: net/http will answer 200, if anybody is there.
		e.code, e.late = http.StatusOK, e.Err() != nil
	}
	left := !e.late && !e.rw.Failed()
	return left && e.v.cfg.Scheme.done(int(e.code)) && grpcSucceeded(e.rw.Header())
}

// grpcSucceeded reports whether an answer is no failed gRPC call. Those are
// HTTP 200, with the outcome in the trailer grpc-status (gRPC over HTTP/2,
// "Responses"). Servers set it under its own name when they have announced it,
// or behind http.TrailerPrefix.
func grpcSucceeded(h http.Header) bool {
	kind := h["Content-Type"]
	if len(kind) == 0 || !strings.HasPrefix(kind[0], "application/grpc") ||
		strings.HasPrefix(kind[0], "application/grpc-web") {
		// The status of gRPC-Web is in the body, where this gate does not look.
		return true
	}
	for _, name := range [...]string{"Grpc-Status", http.TrailerPrefix + "Grpc-Status"} {
		if values := h[name]; len(values) > 0 {
			return len(values) == 1 && values[0] == "0"
		}
	}
	return false // an answer without a status was broken off
}

// fromTimeoutHandler reports whether http.TimeoutHandler itself is writing the
// answer. It is asked only when the answer is 503.
func fromTimeoutHandler() bool {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		frame, more := frames.Next()
		switch {
		case frame.Function == "net/http.(*timeoutHandler).ServeHTTP":
			return true
		case !more || strings.HasSuffix(frame.Function, "hmacsig.(*exchange).serve"):
			return false
		}
	}
}

// detached is context.WithoutCancel without its allocation.
type detached struct{ *exchange }

func (detached) Deadline() (time.Time, bool) { return time.Time{}, false }
func (detached) Done() <-chan struct{}       { return nil }
func (detached) Err() error                  { return nil }

// reject renders a refusal.
func (v *Verifier) reject(w http.ResponseWriter, r *http.Request, refused *sallyport.Refusal) {
	if refused.Code == CodeBodyTooLarge && r.ProtoMajor == 1 {
		// As http.MaxBytesReader does: what is left of the body is not read. On
		// HTTP/2 the header would end the connection, and with it the requests
		// of everybody else on it.
		w.Header().Set("Connection", "close")
	}
	var table *refusal.Table
	var onReject func(http.ResponseWriter, *http.Request, *sallyport.Refusal)
	if v != nil {
		table, onReject = v.table, v.cfg.OnReject
	}
	table.Answer(w, r, refused, onReject)
}
