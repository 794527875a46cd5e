package sessions

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"time"

	"github.com/opsmantik/sallyport"
)

// maxAttempts bounds Update's re-runs. Each one lost to a write that succeeded,
// so only this many rivals during one request exhaust it.
const maxAttempts = 1000

// Login is the authentication event that a session begins with.
type Login struct {
	User  string          // 1 to 255 bytes
	Level sallyport.Level // what the event reached: AAL1, AAL2 or AAL3

	// Idle and Lifetime replace the Config's for this session, as "keep me signed
	// in" does. Default: the Config's.
	Idle, Lifetime time.Duration
	// Remember keeps the cookie when the browser closes, for Lifetime.
	Remember bool
	// PerUser replaces Config.PerUser for this user: 1 allows one session only.
	PerUser int
}

// record turns a login into the record to create, or false.
func (m *Manager[T]) record(v *visit[T], login Login) (*Record, bool) {
	rec := &Record{
		User: login.User, Level: login.Level, Remember: login.Remember,
		Client: m.client(v.r), PerUser: login.PerUser,
		Idle: login.Idle, Lifetime: login.Lifetime,
	}
	if rec.Lifetime == 0 {
		rec.Lifetime = m.cfg.Lifetime
	}
	if rec.Idle == 0 {
		rec.Idle = min(m.cfg.Idle, rec.Lifetime)
	}
	if rec.PerUser == 0 {
		rec.PerUser = m.cfg.PerUser
	}
	ok := rec.User != "" && len(rec.User) <= maxLabel && valid(rec.Level) &&
		rec.Idle >= time.Second && rec.Idle <= rec.Lifetime && rec.Lifetime <= maxTime &&
		rec.PerUser >= 1 && rec.PerUser <= maxPerUser
	return rec, ok
}

// Start begins a session after the caller has verified who it is. It first ends
// what the client presented, as [Manager.Logout] does, and always issues a new token.
// Call it before the response is started (else [ErrCommitted]). If it fails,
// nobody is signed in. Errors: [ErrCommitted], [ErrInvalid] and [ErrTooLarge], which
// leave everything as it was, and [ErrUnavailable], with [ErrFull] as a cause.
func (m *Manager[T]) Start(ctx context.Context, login Login, data T) error {
	v, err := m.visit(ctx)
	if err != nil {
		return err
	}
	if v.w.Committed() {
		return ErrCommitted
	}
	rec, ok := m.record(v, login)
	if !ok {
		return ErrInvalid
	}
	if rec.Data, err = m.encode(data); err != nil {
		return err
	}
	// From here on a client that disconnects must not leave things half done.
	ctx = context.WithoutCancel(ctx)
	if err := v.kill(ctx); err != nil {
		return err
	}
	token, key := newToken(login.User)
	rec.Key, rec.ID = key, rand.Text()
	// Old first: if the second step fails the user is signed out, which is safe.
	stored, err := m.create(ctx, rec)
	if err != nil {
		return v.drop(m.unavailable(err), "")
	}
	v.adopt(stored, data, setCookie(m.cfg.Cookie, token, rec))
	return nil
}

// StepUp records a new authentication event of the same user, with the level
// that it reached: a second factor, or the password again. It issues a new
// token and restarts both time limits (NIST SP 800-63B-4 section 5.2). The old
// token changes nothing from here on, and for [Grace] still reads what it could
// read before. Call it before the response is started.
func (m *Manager[T]) StepUp(ctx context.Context, level sallyport.Level) error {
	v, err := m.visit(ctx)
	if err != nil {
		return err
	}
	if v.w.Committed() {
		return ErrCommitted
	}
	if !valid(level) {
		return ErrInvalid
	}
	// Not cancelled with the request: whether the change happened would be unknown,
	// and the browser would be left with a token that may be dead.
	return m.change(context.WithoutCancel(ctx), v, func(rec *Record, _ *T) (string, error) {
		var token string
		token, rec.Key = newToken(rec.User)
		rec.Level = level
		return setCookie(m.cfg.Cookie, token, rec), nil
	})
}

// Update changes the session's data, and returns once that is stored. It reads
// the newest data, runs fn, and stores the result only if nobody stored another
// meanwhile; else it starts over, so fn may run several times and must not have
// other effects. An error of fn is returned as it is, and nothing is stored. A
// session that was ended or renewed by another request is [ErrNoSession]: a slow
// request cannot bring it back.
func (m *Manager[T]) Update(ctx context.Context, fn func(*T) error) error {
	v, err := m.visit(ctx)
	if err != nil {
		return err
	}
	return m.change(ctx, v, func(_ *Record, data *T) (string, error) { return "", fn(data) })
}

// Logout ends the session and removes the cookie. It is final: it completes even
// if the client is gone, and no request that is still running can undo it, not by a
// step-up either. A token that a step-up replaced less than [Grace] ago ends the
// session as well. Of several session cookies it ends the sessions of the first
// eight. On an error the session may be alive, so the cookie stays for another try.
// Without a session it only removes the cookie.
func (m *Manager[T]) Logout(ctx context.Context) error {
	v, err := m.visit(ctx)
	if err != nil {
		return err
	}
	if err := v.kill(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	v.drop(m.none(CodeEnded, ErrNoSession), clearCookie(m.cfg.Cookie))
	return nil
}

// kill ends the session that this request found, presented or started, by its ID: a
// step-up elsewhere gives it another key at any moment, but never another ID.
func (v *visit[T]) kill(ctx context.Context) error {
	if mine := v.own(); mine != (Selection{}) {
		_, err := v.m.end(ctx, mine)
		return err
	}
	// Nobody has looked yet, or which of several is the person's cannot be known.
	for _, key := range tokens(v.r.Header["Cookie"], v.m.cfg.Cookie) {
		rec, err := v.m.lookup(ctx, key, Peek)
		if errors.Is(err, ErrNoSession) {
			continue
		}
		if err != nil {
			return v.m.unavailable(err)
		}
		if _, err := v.m.end(ctx, Selection{User: rec.User, Only: rec.ID}); err != nil {
			return err
		}
	}
	return nil
}

// change is the one write path: edit a copy, compare, replace, and again if another
// write came first. Edit returns the Set-Cookie to send, if any.
func (m *Manager[T]) change(
	ctx context.Context, v *visit[T], edit func(*Record, *T) (string, error),
) error {
	rec, err := v.load(ctx)
	if err != nil {
		return err
	}
	key := rec.Key
	for range maxAttempts {
		if rec.Replaced {
			return v.renewed(ctx, &rec)
		}
		var data T // decoded afresh: fn must never see what a lost attempt left
		if err := json.Unmarshal(rec.Data, &data); err != nil {
			return m.none(CodeUnreadable, err)
		}
		cookie, err := edit(&rec, &data)
		if err != nil {
			return err
		}
		if rec.Data, err = m.encode(data); err != nil {
			return err
		}
		stored, err := m.replace(ctx, key, &rec)
		if err == nil {
			v.adopt(stored, data, cookie)
			return nil
		}
		if errors.Is(err, ErrConflict) { // peek: the request has been counted
			rec, err = m.lookup(ctx, key, Peek)
		}
		if err != nil {
			return v.lost(ctx, err)
		}
	}
	return ErrConflict
}

// renewed refuses a change with a token that a step-up has replaced. What the
// request has read stays readable.
func (v *visit[T]) renewed(ctx context.Context, rec *Record) error {
	refused := v.m.none(CodeReplaced, ErrNoSession)
	v.m.report(ctx, v.r, rec, refused)
	return refused
}

// encode bounds what a session may hold before the store sees it.
func (m *Manager[T]) encode(data T) ([]byte, error) {
	encoded, err := json.Marshal(data)
	if err != nil {
		return nil, err
	}
	if len(encoded) > m.cfg.MaxData {
		return nil, ErrTooLarge
	}
	return encoded, nil
}

// valid refuses the zero value: an event that authenticated nobody.
func valid(l sallyport.Level) bool { return l >= sallyport.AAL1 && l <= sallyport.AAL3 }

func (m *Manager[T]) create(ctx context.Context, rec *Record) (Record, error) {
	ctx, cancel := timed(ctx, m.cfg.Timeout)
	defer cancel()
	return m.cfg.Store.Create(ctx, rec)
}

func (m *Manager[T]) replace(ctx context.Context, old Key, next *Record) (Record, error) {
	ctx, cancel := timed(ctx, m.cfg.Timeout)
	defer cancel()
	return m.cfg.Store.Replace(ctx, old, next)
}
