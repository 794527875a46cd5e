package sessions

import "errors"

// Held counts all that a Memory holds: keys, sessions in reach of the hand, users.
func (s *Memory) Held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := 0
	for i := range s.shards {
		held += len(s.shards[i].byKey) + len(s.shards[i].all) + len(s.users[i].first)
	}
	return held
}

// Max is the most sessions that a Memory holds.
func (s *Memory) Max() int { return s.max }

// Consistent tells what of the tables contradicts the rest.
func (s *Memory) Consistent() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, keys := 0, 0
	for i := range s.shards {
		sh := &s.shards[i]
		all += len(sh.all)
		keys += len(sh.byKey)
		if len(sh.byKey) > sh.peak || sh.peak >= shrinkFrom && len(sh.byKey) < sh.peak/4 {
			return errors.New("a shard's peak")
		}
		if cap(sh.all) > len(sh.all) && sh.all[:len(sh.all)+1][len(sh.all)] != nil {
			return errors.New("a removed session is kept from the collector")
		}
		for at, e := range sh.all {
			if e.at != at || s.shard(e.Key) != sh || sh.byKey[half(e.Key)] != e {
				return errors.New("a session's place")
			}
			keys--
			if e.old != nil {
				keys--
				if s.shard(e.old.Key).byKey[half(e.old.Key)] != e {
					return errors.New("an old key's session")
				}
			}
		}
	}
	if all != s.count || keys != 0 {
		return errors.New("sessions or keys that nothing refers to")
	}
	return s.consistentUsers(all)
}

func (s *Memory) consistentUsers(all int) error {
	for i := range s.users {
		u := &s.users[i]
		if len(u.first) > u.peak || u.peak >= shrinkFrom && len(u.first) < u.peak/4 {
			return errors.New("a user table's peak")
		}
		for user, e := range u.first {
			if e == nil || e.prev != nil {
				return errors.New("a user's first session")
			}
			for ; e != nil; e = e.next {
				all--
				if e.User != user || s.user(user) != u || e.next != nil && e.next.prev != e {
					return errors.New("a user's list")
				}
			}
		}
	}
	if all != 0 {
		return errors.New("sessions without a user")
	}
	return nil
}
