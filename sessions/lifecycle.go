package sessions

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
)

const (
	maxUser = 255 // bytes of a user id
	// maxAttempts bounds Update's re-runs. Each one lost to a write that
	// succeeded, so only this many rivals during one request exhaust it.
	maxAttempts = 1000
)

// Login is the authentication event that a session begins with.
type Login struct {
	User  string // 1 to 255 bytes
	Level Level  // what the event reached: AAL1 or AAL2
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
	if login.User == "" || len(login.User) > maxUser || !login.Level.valid() {
		return ErrInvalid
	}
	encoded, err := m.encode(data)
	if err != nil {
		return err
	}
	// From here on a client that disconnects must not leave things half done.
	ctx = context.WithoutCancel(ctx)
	if err := v.kill(ctx); err != nil {
		return err
	}
	token, key := newToken(login.User)
	// Old first: if the second step fails the user is signed out, which is safe.
	rec, err := m.swap(ctx, Key{}, &Record{
		Key: key, ID: rand.Text(), User: login.User, Level: login.Level,
		Idle: m.cfg.Idle, Lifetime: m.cfg.Lifetime, Data: encoded,
	})
	if err != nil {
		return v.drop(refuse(ReasonUnavailable, err), "")
	}
	v.adopt(rec, data, setCookie(m.cfg.Cookie, token))
	return nil
}

// StepUp records a new authentication event of the same user, with the level
// that it reached: a second factor, or the password again. It issues a new
// token, kills the old one and restarts both time limits (NIST SP 800-63B-4
// section 5.2). Call it before the response is started.
func (m *Manager[T]) StepUp(ctx context.Context, level Level) error {
	v, err := m.visit(ctx)
	if err != nil {
		return err
	}
	if v.w.Committed() {
		return ErrCommitted
	}
	if !level.valid() {
		return ErrInvalid
	}
	// Not cancelled with the request: whether the swap happened would be unknown,
	// and the browser would be left with a token that may be dead.
	var token string
	return m.change(context.WithoutCancel(ctx), v, func(rec *Record, _ *T) (string, error) {
		token, rec.Key = newToken(rec.User)
		rec.Level = level
		return setCookie(m.cfg.Cookie, token), nil
	})
}

// Update changes the session's data, and returns once that is stored. It reads
// the newest data, runs fn, and stores the result only if nobody stored another
// meanwhile; else it starts over, so fn may run several times and must not have
// other effects. An error of fn is returned as it is, and nothing is stored. A
// session that was ended or rotated by another request is [ErrNoSession]: a slow
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
// step-up either. Of several session cookies it ends the sessions of the first eight.
// On an error the session may be alive, so the cookie stays for another try. Without
// a session it only removes the cookie; a token that a step-up had replaced before
// this request looked is none.
func (m *Manager[T]) Logout(ctx context.Context) error {
	v, err := m.visit(ctx)
	if err != nil {
		return err
	}
	if err := v.kill(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	v.drop(refuse(ReasonEnded, nil), clearCookie(m.cfg.Cookie))
	return nil
}

// List returns the live sessions of a user, in no particular order, for a page where
// people see and end their own (ASVS 7.5.2). Passing any user but the signed-in one is
// for administrators; who is one is not decided here.
func (m *Manager[T]) List(ctx context.Context, user string) ([]Info, error) {
	if m.cfg.Store == nil {
		return nil, refuse(ReasonUnavailable, errZero)
	}
	ctx, cancel := timed(ctx, m.cfg.Timeout)
	defer cancel()
	records, err := m.cfg.Store.List(ctx, user)
	if err != nil {
		return nil, refuse(ReasonUnavailable, err)
	}
	list := make([]Info, len(records))
	for i := range records {
		list[i] = info(&records[i])
	}
	return list, nil
}

// End ends the session with this ID if it is the user's, else [ErrNoSession]:
// passing the signed-in user lets people end their own sessions only.
func (m *Manager[T]) End(ctx context.Context, user, id string) error {
	if user == "" || id == "" {
		return ErrInvalid
	}
	n, err := m.end(ctx, Selection{User: user, Only: id})
	if err == nil && n == 0 {
		return refuse(ReasonEnded, nil)
	}
	return err
}

// EndOthers ends every other session of the signed-in user: offer it after a
// change of password or factor (ASVS 7.4.3). It returns how many.
func (m *Manager[T]) EndOthers(ctx context.Context) (int, error) {
	s, err := m.Get(ctx)
	if err != nil {
		return 0, err
	}
	return m.end(ctx, Selection{User: s.User, Except: s.ID})
}

// EndUser ends all sessions of a user, the current one included if it is theirs:
// account disabled or deleted, password reset (ASVS 7.4.2). It returns how many.
// Requests that run already finish; they can store nothing in the session.
func (m *Manager[T]) EndUser(ctx context.Context, user string) (int, error) {
	if user == "" {
		return 0, ErrInvalid
	}
	return m.end(ctx, Selection{User: user})
}

// EndEveryone ends all sessions of all users: the store or a signing secret may have
// leaked (ASVS 7.4.5). It returns how many records there were.
func (m *Manager[T]) EndEveryone(ctx context.Context) (int, error) {
	return m.end(ctx, Selection{Everyone: true})
}

// end is not cancelled with the request either: an administrator who closes the
// tab has still ended the sessions.
func (m *Manager[T]) end(ctx context.Context, which Selection) (int, error) {
	if m.cfg.Store == nil {
		return 0, refuse(ReasonUnavailable, errZero)
	}
	ctx, cancel := timed(context.WithoutCancel(ctx), m.cfg.Timeout)
	defer cancel()
	n, err := m.cfg.Store.End(ctx, which)
	if err != nil {
		return 0, refuse(ReasonUnavailable, err)
	}
	return n, nil
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
		rec, err := v.m.load(ctx, key, Peek)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return refuse(ReasonUnavailable, err)
		}
		if _, err := v.m.end(ctx, Selection{User: rec.User, Only: rec.ID}); err != nil {
			return err
		}
	}
	return nil
}

// change is the one write path: edit a copy, compare, swap, and again if another
// write came first. Edit returns the Set-Cookie to send, if any.
func (m *Manager[T]) change(
	ctx context.Context, v *visit[T], edit func(*Record, *T) (string, error),
) error {
	rec, rej := v.load(ctx)
	if rej != nil {
		return rej
	}
	key := rec.Key
	for range maxAttempts {
		var data T // decoded afresh: fn must never see what a lost attempt left
		if err := json.Unmarshal(rec.Data, &data); err != nil {
			return refuse(ReasonUnreadable, err)
		}
		cookie, err := edit(&rec, &data)
		if err != nil {
			return err
		}
		if rec.Data, err = m.encode(data); err != nil {
			return err
		}
		stored, err := m.swap(ctx, key, &rec)
		if err == nil {
			v.adopt(stored, data, cookie)
			return nil
		}
		if errors.Is(err, ErrConflict) { // peek: the request has been counted
			rec, err = m.load(ctx, key, Peek)
		}
		if err != nil {
			return v.lost(err)
		}
	}
	return ErrConflict
}

// lost ends this request's view of a session that is over. An outage leaves it.
func (v *visit[T]) lost(err error) error {
	rej := notFoundOr(err)
	if rej.Reason == ReasonEnded {
		return v.drop(rej, "")
	}
	return rej
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
func (l Level) valid() bool { return l == AAL1 || l == AAL2 }
