package sessions

import (
	"context"
	"errors"
)

// List returns the live sessions of a user, in no particular order, for a page where
// people see and end their own (ASVS 7.5.2). Passing any user but the signed-in one is
// for administrators; who is one is not decided here.
func (m *Manager[T]) List(ctx context.Context, user string) ([]Info, error) {
	if !m.configured() {
		return nil, m.refuse(CodeNotConfigured, nil)
	}
	ctx, cancel := timed(ctx, m.cfg.Timeout)
	defer cancel()
	records, err := m.cfg.Store.List(ctx, user)
	if err != nil {
		return nil, m.unavailable(err)
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
		return m.none(CodeEnded, ErrNoSession)
	}
	return err
}

// EndOthers ends every other session of the signed-in user: offer it after a
// change of password or factor (ASVS 7.4.3). It returns how many. A session that
// has ended meanwhile, perhaps just because it was stolen, ends nothing.
func (m *Manager[T]) EndOthers(ctx context.Context) (int, error) {
	v, err := m.visit(ctx)
	if err != nil {
		return 0, err
	}
	rec, err := v.load(ctx)
	if err != nil {
		return 0, err
	}
	if rec.Replaced {
		return 0, v.renewed(ctx, &rec)
	}
	n, err := m.end(ctx, Selection{User: rec.User, Except: rec.ID})
	if errors.Is(err, ErrNoSession) {
		return 0, v.lost(ctx, err)
	}
	return n, err
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

// end is not cancelled with the request: an administrator who closes the tab has
// still ended the sessions.
func (m *Manager[T]) end(ctx context.Context, which Selection) (int, error) {
	if !m.configured() {
		return 0, m.refuse(CodeNotConfigured, nil)
	}
	ctx, cancel := timed(context.WithoutCancel(ctx), m.cfg.Timeout)
	defer cancel()
	n, err := m.cfg.Store.End(ctx, which)
	if err != nil {
		return 0, m.failed(err)
	}
	return n, nil
}
