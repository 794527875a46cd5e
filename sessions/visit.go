package sessions

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"

	"github.com/opsmantik/sallyport/internal/response"
)

var (
	errNotWrapped = errors.New("sessions: handler is not inside Manager.Wrap")
	errZero       = errors.New("sessions: zero Manager; use New")
)

// visit is what one request knows about its session.
type visit[T any] struct {
	m      *Manager[T]
	r      *http.Request
	w      *response.Writer // nil under Check without Wrap
	access Access

	mu     sync.Mutex // held across the one lookup, so that it happens once
	known  bool       // looked up, started or ended
	rej    *Rejection // when known: why there is none
	mine   Selection  // the session found or started; stays when it is over
	rec    Record
	data   T
	cookie string // Set-Cookie to send; empty for none
}

// commit runs just before the response header leaves. What a handler put into
// Cache-Control gives way: a shared cache that keeps one person's page shows it to
// the next (ASVS 14.3.2).
func (v *visit[T]) commit(int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.known {
		return // the response does not depend on the session
	}
	h := v.w.Header()
	h.Set("Cache-Control", "no-store")
	if v.cookie != "" {
		h.Add("Set-Cookie", v.cookie)
	}
}

// load makes the session known. Only the first call asks the store, and its answer
// holds for the request, an outage included: one request sees one truth. The hook
// runs outside the lock, so it may use the manager.
func (v *visit[T]) load(ctx context.Context) (Record, *Rejection) {
	rec, rej, first := v.lookup(ctx)
	if hook := v.m.cfg.OnDecision; first && hook != nil {
		d := Decision{Level: rec.Level}
		if rej != nil {
			d = Decision{Reason: rej.Reason, Err: rej.Err}
		}
		hook(v.r, d)
	}
	return rec, rej
}

// lookup survives a panic in the store or in the caller's UnmarshalJSON: the lock is
// released, or commit would wait for it for ever, and the next call asks again.
func (v *visit[T]) lookup(ctx context.Context) (rec Record, rej *Rejection, first bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.known {
		v.rej = v.fetch(ctx)
		v.known, first = true, true
	}
	return v.rec, v.rej, first
}

// session returns a snapshot under the lock: handlers may share the request among
// goroutines.
func (v *visit[T]) session(ctx context.Context) (Session[T], error) {
	if _, rej := v.load(ctx); rej != nil {
		return Session[T]{}, rej
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return Session[T]{Info: info(&v.rec), Data: v.data}, nil
}

// proved is session without asking anybody.
func (v *visit[T]) proved() (Session[T], bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.known || v.rej != nil {
		return Session[T]{}, false
	}
	return Session[T]{Info: info(&v.rec), Data: v.data}, true
}

// fetch reads the cookie and asks the store. A dead cookie is left in the
// browser: by now it may hold a newer one, which this request cannot know.
func (v *visit[T]) fetch(ctx context.Context) *Rejection {
	key, rej := v.presented()
	if rej != nil {
		return rej
	}
	rec, err := v.m.load(ctx, key, v.access)
	if err != nil {
		return notFoundOr(err)
	}
	var zero T
	v.data = zero // a try before may have panicked half way
	if err := json.Unmarshal(rec.Data, &v.data); err != nil {
		// Left in place it would fail on every request until it expires.
		v.data = zero
		_, _ = v.m.swap(context.WithoutCancel(ctx), key, nil)
		return refuse(ReasonUnreadable, err)
	}
	v.rec, v.mine = rec, Selection{User: rec.User, Only: rec.ID}
	return nil
}

// presented returns the key of the one well-formed token that the client sent.
func (v *visit[T]) presented() (Key, *Rejection) {
	value, count := findCookie(v.r.Header["Cookie"], v.m.cfg.Cookie)
	if count == 0 {
		return Key{}, refuse(ReasonRequired, nil)
	}
	if count > 1 {
		return Key{}, refuse(ReasonDuplicate, nil)
	}
	key, ok := parseToken(value)
	if !ok {
		return Key{}, refuse(ReasonMalformed, nil)
	}
	return key, nil
}

// own selects the session that this request has found or started, if any.
func (v *visit[T]) own() Selection {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.mine
}

// adopt makes rec this request's session. An empty cookie keeps the pending one.
func (v *visit[T]) adopt(rec Record, data T, cookie string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.known, v.rej, v.rec, v.data = true, nil, rec, data
	v.mine = Selection{User: rec.User, Only: rec.ID}
	if cookie != "" {
		v.cookie = cookie
	}
}

// drop makes this request one without a session. Mine stays: a second kill of it is
// harmless, and only this token of it may be dead.
func (v *visit[T]) drop(rej *Rejection, cookie string) *Rejection {
	var zero T
	v.mu.Lock()
	defer v.mu.Unlock()
	v.known, v.rej, v.rec, v.data = true, rej, Record{}, zero
	if cookie != "" {
		v.cookie = cookie
	}
	return rej
}

// notFoundOr keeps "it is over" apart from "could not tell".
func notFoundOr(err error) *Rejection {
	if errors.Is(err, ErrNotFound) {
		return refuse(ReasonEnded, err)
	}
	return refuse(ReasonUnavailable, err)
}

// info leaves out what must not leave the package: key and encoded data.
func info(rec *Record) Info {
	return Info{
		ID: rec.ID, User: rec.User, Level: rec.Level,
		AuthTime: rec.Started, Seen: rec.Seen, Expires: rec.Started.Add(rec.Lifetime),
	}
}
