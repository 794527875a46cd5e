package sessions

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/refusal"
)

// Info describes a session without its data.
type Info struct {
	ID       string // public handle, for lists and End; not the token
	User     string
	Client   string          // what the client was when the session began
	Level    sallyport.Level // never above that of the authentication event
	AuthTime time.Time       // the authentication event: Start or the last StepUp
	Seen     time.Time       // last use, this one included
	Expires  time.Time       // absolute end; idleness may come first
}

// Principal is the session's user, as other gates take one.
func (i Info) Principal() sallyport.Principal {
	if i.User == "" {
		return sallyport.Principal{}
	}
	return sallyport.Principal{
		Kind: sallyport.KindUser, ID: i.User, Level: i.Level, AuthTime: i.AuthTime,
	}
}

// Session is a snapshot of one request: what other requests store meanwhile is not
// in it. Data is decoded once per request and shared by all who ask during it:
// change it through [Manager.Update] only.
type Session[T any] struct {
	Info
	Data T
}

// Manager issues, finds, changes and ends sessions whose data is a T, stored as
// JSON (unexported fields are not kept). It is safe for concurrent use. Nil and the
// zero value refuse everything, with [CodeNotConfigured].
type Manager[T any] struct {
	cfg      Config
	refusals *refusal.Table
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
	table := refusal.NewTable(gate, cfg.ProblemBase, kinds...)
	return &Manager[T]{cfg: cfg, refusals: table}, nil
}

// Load gives handlers a session to read and a response to put its cookie in. It
// looks nothing up by itself: the first Check, Update, StepUp or Wrap does, once
// per request. It refuses nobody; Wrap does. Sign-in and logout belong inside
// Load alone.
func (m *Manager[T]) Load(next http.Handler) http.Handler { return m.load(next, Use) }

// LoadPassive is Load for routes whose requests are not activity of a person:
// polling, event streams, prefetches. They do not postpone the idle limit. A Wrap
// inside stays passive.
func (m *Manager[T]) LoadPassive(next http.Handler) http.Handler { return m.load(next, Peek) }

// Wrap is Load, and refuses requests without a live session: 401, or 503 when the
// store cannot tell.
func (m *Manager[T]) Wrap(next http.Handler) http.Handler {
	return m.Load(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := m.Check(r); err != nil {
			m.reject(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	}))
}

// Check decides whether r has a live session, and returns it. Inside Load or Wrap
// it asks the store once per request, and after Start, StepUp, Update or Logout
// returns what they left; without them, each call asks, and keeping the response
// out of caches is the caller's task. The error is a *[sallyport.Refusal] that
// matches [ErrNoSession] or [ErrUnavailable], or [ErrCommitted] from a handler
// that first sent a header which lets caches store the page.
func (m *Manager[T]) Check(r *http.Request) (Session[T], error) {
	if !m.configured() {
		return Session[T]{}, m.refuse(CodeNotConfigured, nil)
	}
	v := m.visitOf(r.Context())
	if v == nil {
		v = &visit[T]{Context: r.Context(), m: m, r: r}
	}
	return v.session(r.Context())
}

// FromContext returns the session that this request has already proved. It never
// asks the store, so false does not mean that there is none: use it inside Wrap,
// and Check elsewhere.
func (m *Manager[T]) FromContext(ctx context.Context) (Session[T], bool) {
	if v := m.visitOf(ctx); v != nil {
		return v.proved()
	}
	return Session[T]{}, false
}

// Recheck asks the store again whether the session of this request is alive, without
// counting as activity: for streams, where [Manager.Check] would repeat what it found
// at the beginning. After ErrNoSession, which a step-up in another request causes
// too once [Grace] is over, Check agrees; after ErrUnavailable nothing has changed.
func (m *Manager[T]) Recheck(ctx context.Context) error {
	v, err := m.visit(ctx)
	if err != nil {
		return err
	}
	rec, err := v.load(ctx)
	if err != nil {
		return err
	}
	now, err := m.lookup(ctx, rec.Key, Peek)
	if err != nil {
		return v.lost(ctx, err)
	}
	m.report(ctx, v.r, &now, nil)
	return nil
}

// load gives the request a visit, once: a Wrap inside a LoadPassive shares its
// lookup and stays passive.
func (m *Manager[T]) load(next http.Handler, access Access) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !m.configured() {
			m.reject(w, r, m.refuse(CodeNotConfigured, nil))
			return
		}
		if m.visitOf(r.Context()) != nil { // loaded further out
			next.ServeHTTP(w, r)
			return
		}
		v := &visit[T]{Context: r.Context(), m: m, r: r, access: access, loaded: true}
		v.w.Init(w, v)
		next.ServeHTTP(&v.w, r.WithContext(v))
		v.returned = true
		v.w.Commit(http.StatusOK) // a handler that wrote nothing; not after a panic
	})
}

// configured is false for nil and for the zero value.
func (m *Manager[T]) configured() bool { return m != nil && m.cfg.Store != nil }

// The manager itself is the context key: two managers never meet each other's
// sessions, even with the same T.
func (m *Manager[T]) visitOf(ctx context.Context) *visit[T] {
	v, _ := ctx.Value(m).(*visit[T])
	return v
}

// visit is for what needs a response to put a cookie in.
func (m *Manager[T]) visit(ctx context.Context) (*visit[T], error) {
	if !m.configured() {
		return nil, m.refuse(CodeNotConfigured, nil)
	}
	if v := m.visitOf(ctx); v != nil {
		return v, nil
	}
	return nil, m.refuse(CodeNotLoaded, errNotLoaded)
}

// reject renders a refusal. Nil and zero managers have no table and no hook.
func (m *Manager[T]) reject(w http.ResponseWriter, r *http.Request, err error) {
	refused, ok := errors.AsType[*sallyport.Refusal](err)
	if !ok {
		// ErrCommitted: what is out cannot be taken back; nothing is added to it.
		return
	}
	if !m.configured() {
		(*refusal.Table)(nil).Answer(w, r, refused, nil)
		return
	}
	m.refusals.Answer(w, r, refused, m.cfg.OnReject)
}

// report hands a decision to the hook.
func (m *Manager[T]) report(
	ctx context.Context, r *http.Request, rec *Record, refused *sallyport.Refusal,
) {
	if m.cfg.OnEvent == nil {
		return
	}
	event := sallyport.Event{Gate: gate, Code: CodeLive, Allowed: refused == nil, Request: r}
	if refused != nil {
		event.Code, event.Err = refused.Code, refused.Err
	} else if rec.Replaced {
		event.Code = CodeGrace
	}
	if rec.User != "" {
		event.Actor = rec.User
		moved := rec.Client != "" && m.client(r) != rec.Client
		event.Detail = Decision{Info: info(rec), Moved: moved}
	}
	m.cfg.OnEvent(ctx, event)
}

// client describes the client, within bounds.
func (m *Manager[T]) client(r *http.Request) string {
	if m.cfg.Client == nil {
		return ""
	}
	return shorten(m.cfg.Client(r))
}

// shorten cuts a label off, at a rune's beginning.
func shorten(label string) string {
	if len(label) <= maxLabel {
		return label
	}
	end := maxLabel
	for end > 0 && label[end]&0xc0 == 0x80 {
		end--
	}
	return label[:end]
}

// timed bounds one store operation: a store that hangs is a store that is down.
func timed(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, limit)
}

func (m *Manager[T]) lookup(ctx context.Context, key Key, access Access) (Record, error) {
	ctx, cancel := timed(ctx, m.cfg.Timeout)
	defer cancel()
	return m.cfg.Store.Load(ctx, key, access)
}
