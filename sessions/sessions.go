package sessions

import (
	"context"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport/internal/problem"
	"github.com/opsmantik/sallyport/internal/response"
)

// Info describes a session without its data.
type Info struct {
	ID       string // public handle, for lists and End; not the token
	User     string
	Level    Level     // never above that of the authentication event
	AuthTime time.Time // the authentication event: Start or the last StepUp
	Seen     time.Time // last use, this one included
	Expires  time.Time // absolute end; idleness may come first
}

// Session is a snapshot of one request: what other requests store meanwhile is not
// in it. Data is decoded once per request and shared by all who
// ask during it: change it through [Manager.Update] only.
type Session[T any] struct {
	Info
	Data T
}

// Manager issues, finds, changes and ends sessions whose data is a T, stored as
// JSON (unexported fields are not kept). It is safe for concurrent use. The zero
// value refuses everything.
type Manager[T any] struct {
	cfg      Config
	problems map[Reason]*problem.Problem
}

// New returns a manager, or every problem of cfg at once.
func New[T any](cfg Config) (*Manager[T], error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if _, local := cfg.Store.(*Memory); local {
		cfg.Timeout = 0 // a deadline costs more than the lookup that it bounds
	}
	m := &Manager[T]{cfg: cfg, problems: map[Reason]*problem.Problem{}}
	for _, reason := range reasons() {
		m.problems[reason] = reason.problem()
	}
	return m, nil
}

// Wrap makes the session available to next and sends the cookie when it changes.
// It looks nothing up by itself: the first Get, Check, Update, StepUp or Require
// does, once per request. It refuses nobody; see Require.
func (m *Manager[T]) Wrap(next http.Handler) http.Handler { return m.wrap(next, Use) }

// WrapPassive is Wrap for routes whose requests are not activity of a person:
// polling, event streams, prefetches. They do not postpone the idle limit.
func (m *Manager[T]) WrapPassive(next http.Handler) http.Handler { return m.wrap(next, Peek) }

// Require is Wrap and refuses requests without a live session: 401, or 503 when
// the store cannot tell.
func (m *Manager[T]) Require(next http.Handler) http.Handler {
	return m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := m.visitOf(r).load(r.Context()); err != nil {
			m.reject(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	}))
}

// Check finds the session of r, inside Wrap or without it: the pure decision, for
// other gates and for servers without middleware. Inside Wrap it shares the one
// lookup of the request; without, each call is a lookup. The error is a *[Rejection].
func (m *Manager[T]) Check(r *http.Request) (Session[T], error) {
	v := m.visitOf(r)
	if v == nil {
		v = &visit[T]{m: m, r: r}
	}
	return v.session(r.Context())
}

// Get finds the session of the request that ctx belongs to, with at most one lookup
// per request. After Start, StepUp, Update or Logout it returns what they left. The
// error is a *[Rejection]; without Wrap around the handler it matches [ErrUnavailable].
func (m *Manager[T]) Get(ctx context.Context) (Session[T], error) {
	v, err := m.visit(ctx)
	if err != nil {
		return Session[T]{}, err
	}
	return v.session(ctx)
}

// FromContext returns the session that this request has already proved. It never
// asks the store, so false does not mean that there is none: use it under
// Require, and Get elsewhere.
func (m *Manager[T]) FromContext(ctx context.Context) (Session[T], bool) {
	v, err := m.visit(ctx)
	if err != nil {
		return Session[T]{}, false
	}
	return v.proved()
}

// Recheck asks the store again whether the session of this request is alive, without
// counting as activity: for streams, where [Manager.Get] would repeat what it found
// at the beginning. After ErrNoSession, which a step-up in another request causes
// too, Get and Check agree; after ErrUnavailable nothing has changed.
func (m *Manager[T]) Recheck(ctx context.Context) error {
	v, err := m.visit(ctx)
	if err != nil {
		return err
	}
	rec, rej := v.load(ctx)
	if rej != nil {
		return rej
	}
	if _, err := m.load(ctx, rec.Key, Peek); err != nil {
		return v.lost(err)
	}
	return nil
}

// wrap gives the request a visit, once: a Require inside a WrapPassive shares its
// lookup and stays passive.
func (m *Manager[T]) wrap(next http.Handler, access Access) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.visitOf(r) != nil { // wrapped further out
			next.ServeHTTP(w, r)
			return
		}
		v := &visit[T]{m: m, r: r, access: access}
		v.w = response.New(w, v.commit)
		next.ServeHTTP(v.w, r.WithContext(context.WithValue(r.Context(), m, v)))
		v.w.Commit(http.StatusOK) // a handler that wrote nothing; not after a panic
	})
}

// The manager itself is the context key: two managers never meet each other's
// sessions, even with the same T.
func (m *Manager[T]) visitOf(r *http.Request) *visit[T] {
	v, _ := r.Context().Value(m).(*visit[T])
	return v
}

func (m *Manager[T]) visit(ctx context.Context) (*visit[T], error) {
	if v, ok := ctx.Value(m).(*visit[T]); ok {
		return v, nil
	}
	return nil, refuse(ReasonUnavailable, errNotWrapped)
}

// reject renders a refusal, with what HTTP asks for beside the body.
func (m *Manager[T]) reject(w http.ResponseWriter, r *http.Request, rej *Rejection) {
	if m.cfg.OnReject != nil {
		m.cfg.OnReject(w, r, rej)
		return
	}
	switch rej.Status {
	case http.StatusUnauthorized:
		// RFC 9110 section 15.5.2 wants a challenge. No scheme is registered for
		// cookies, and clients ignore one that they do not know.
		w.Header().Set("WWW-Authenticate", `Cookie realm="session"`)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "5")
	}
	p := m.problems[rej.Reason]
	if p == nil { // the zero Manager
		p = rej.Reason.problem()
	}
	p.Write(w)
}

func (r Reason) problem() *problem.Problem {
	return problem.New("", r.status(), string(r), r.title(), nil)
}

// timed bounds one store operation: a store that hangs is a store that is down.
func timed(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, limit)
}

func (m *Manager[T]) load(ctx context.Context, key Key, access Access) (Record, error) {
	if m.cfg.Store == nil {
		return Record{}, errZero
	}
	ctx, cancel := timed(ctx, m.cfg.Timeout)
	defer cancel()
	return m.cfg.Store.Load(ctx, key, access)
}

func (m *Manager[T]) swap(ctx context.Context, old Key, next *Record) (Record, error) {
	if m.cfg.Store == nil {
		return Record{}, errZero
	}
	ctx, cancel := timed(ctx, m.cfg.Timeout)
	defer cancel()
	return m.cfg.Store.Swap(ctx, old, next)
}
