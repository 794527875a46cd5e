package sessions

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/response"
)

// visit is what one request knows about its session. It is the request's context
// and holds its response writer: one allocation instead of five.
type visit[T any] struct {
	context.Context
	m        *Manager[T]
	r        *http.Request
	w        response.Writer // unused by Check outside Load
	loaded   bool            // w is in use
	returned bool            // the handler has returned: nobody reads any more
	access   Access

	mu     sync.Mutex // held across the one lookup, so that it happens once
	known  bool       // looked up, started or ended
	secret bool       // the response is marked no-store
	err    error      // when known: why there is none
	mine   Selection  // the session found or started; stays when it is over
	rec    Record
	data   T
	cookie string    // Set-Cookie to send; empty for none
	values [1]string // of Cache-Control
}

// Value finds the visit by its manager.
func (v *visit[T]) Value(key any) any {
	if key == any(v.m) {
		return v
	}
	return v.Context.Value(key)
}

// BeforeHeader runs just before the response header leaves. What a handler put
// into Cache-Control gives way to the session: a shared cache that keeps one
// person's page shows it to the next (ASVS 14.3.2).
//
// A handler that has not asked for the session yet still may. Its response is
// marked too if the client presented a cookie, unless the handler said itself
// how to cache: then asking later is refused.
func (v *visit[T]) BeforeHeader(int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	h := v.w.Header()
	if v.known || !v.returned && len(h["Cache-Control"]) == 0 && v.presents() {
		v.values[0] = "no-store"
		h["Cache-Control"] = v.values[:]
	}
	v.secret = noStore(h)
	if v.cookie != "" {
		h.Add("Set-Cookie", v.cookie)
	}
}

// noStore reports whether caches are told to keep nothing (RFC 9111 section 5.2.2.5).
func noStore(h http.Header) bool {
	for _, line := range h["Cache-Control"] {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(part, blanks), "no-store") {
				return true
			}
		}
	}
	return false
}

// presents reports whether there is a session cookie at all.
func (v *visit[T]) presents() bool {
	_, count := findCookie(v.r.Header["Cookie"], v.m.cfg.Cookie)
	return count > 0
}

// load makes the session known. Only the first call asks the store, and its answer
// holds for the request, an outage included: one request sees one truth. The hook
// runs outside the lock, so it may use the manager.
func (v *visit[T]) load(ctx context.Context) (Record, error) {
	rec, first, err := v.lookup(ctx)
	if first {
		refused, _ := errors.AsType[*sallyport.Refusal](err)
		v.m.report(ctx, v.r, &rec, refused)
	}
	if err != nil {
		return Record{}, err
	}
	return rec, nil
}

// lookup survives a panic in the store or in the caller's UnmarshalJSON: the lock is
// released, or BeforeHeader would wait for it for ever, and the next call asks again.
func (v *visit[T]) lookup(ctx context.Context) (rec Record, first bool, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.known {
		return v.rec, false, v.err
	}
	if v.loaded && v.w.Committed() && !v.secret && v.presents() {
		return Record{}, false, ErrCommitted // it would show in a page that caches keep
	}
	if refused := v.fetch(ctx); refused != nil {
		v.err = refused
	}
	v.known = true
	return v.rec, true, v.err
}

// session returns a snapshot under the lock: handlers may share the request among
// goroutines.
func (v *visit[T]) session(ctx context.Context) (Session[T], error) {
	if _, err := v.load(ctx); err != nil {
		return Session[T]{}, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return Session[T]{Info: info(&v.rec), Data: v.data}, v.err
}

// proved is session without asking anybody.
func (v *visit[T]) proved() (Session[T], bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.known || v.err != nil {
		return Session[T]{}, false
	}
	return Session[T]{Info: info(&v.rec), Data: v.data}, true
}

// fetch reads the cookie and asks the store. A dead cookie is left in the
// browser: by now it may hold a newer one, which this request cannot know.
func (v *visit[T]) fetch(ctx context.Context) *sallyport.Refusal {
	key, refused := v.presented()
	if refused != nil {
		return refused
	}
	rec, err := v.m.lookup(ctx, key, v.access)
	if err != nil {
		return v.m.failed(err)
	}
	v.mine = Selection{User: rec.User, Only: rec.ID}
	if rec.Replaced && !safe(v.r.Method) {
		return v.m.none(CodeReplaced, ErrNoSession)
	}
	var zero T
	v.data = zero // a try before may have panicked half way
	if err := json.Unmarshal(rec.Data, &v.data); err != nil {
		// Left in place it would fail on every request until it expires.
		_, _ = v.m.end(ctx, v.mine)
		return v.m.none(CodeUnreadable, err)
	}
	v.rec = rec
	return nil
}

// safe methods change nothing (RFC 9110 section 9.2.1).
func safe(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return false
}

// presented returns the key of the one well-formed token that the client sent.
func (v *visit[T]) presented() (Key, *sallyport.Refusal) {
	value, count := findCookie(v.r.Header["Cookie"], v.m.cfg.Cookie)
	if count == 0 {
		return Key{}, v.m.none(CodeRequired, ErrNoSession)
	}
	if count > 1 {
		return Key{}, v.m.none(CodeDuplicate, ErrNoSession)
	}
	key, ok := parseToken(value)
	if !ok {
		return Key{}, v.m.none(CodeMalformed, ErrNoSession)
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
	v.known, v.err, v.rec, v.data = true, nil, rec, data
	v.mine = Selection{User: rec.User, Only: rec.ID}
	if cookie != "" {
		v.cookie = cookie
	}
}

// drop makes this request one without a session. Mine stays: a second kill of it is
// harmless, and only this token of it may be dead.
func (v *visit[T]) drop(refused *sallyport.Refusal, cookie string) *sallyport.Refusal {
	var zero T
	v.mu.Lock()
	defer v.mu.Unlock()
	v.known, v.err, v.rec, v.data = true, refused, Record{}, zero
	if cookie != "" {
		v.cookie = cookie
	}
	return refused
}

// lost ends this request's view of a session that is over. An outage leaves it.
func (v *visit[T]) lost(ctx context.Context, err error) error {
	v.mu.Lock()
	rec := v.rec
	v.mu.Unlock()
	refused := v.m.failed(err)
	v.m.report(ctx, v.r, &rec, refused)
	if refused.Code == CodeEnded {
		v.drop(refused, "")
	}
	return refused
}

// info leaves out what must not leave the package: key and encoded data.
func info(rec *Record) Info {
	return Info{
		ID: rec.ID, User: rec.User, Client: rec.Client, Level: rec.Level,
		AuthTime: rec.Started, Seen: rec.Seen, Expires: rec.Started.Add(rec.Lifetime),
	}
}
