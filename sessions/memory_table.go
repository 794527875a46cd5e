package sessions

import (
	"hash/maphash"
	"maps"
	"time"

	"github.com/opsmantik/sallyport/internal/clock"
)

// half returns the place of a key.
func half(key Key) place { return place(key.Hash[:16]) }

// shard returns where a key belongs. Its hash is as good as random, and the last
// bytes are no part of the place.
func (s *Memory) shard(key Key) *shard { return &s.shards[key.Hash[31]%shards] }

func (s *Memory) user(user string) *userShard {
	if s.max == 0 {
		return &s.users[0] // the zero value has no seed, and nobody in it
	}
	return &s.users[maphash.String(s.seed, user)%shards]
}

// expire removes what is over among the next few sessions, and the keys whose
// grace has passed. The hand goes round, so that each one has its turn.
func (s *Memory) expire(look int, now time.Time) {
	for passed := 0; look > 0 && passed <= shards; {
		all := s.shards[s.hand.shard].all
		if s.hand.place >= len(all) {
			s.hand.shard, s.hand.place = (s.hand.shard+1)%shards, 0
			passed++
			continue
		}
		look--
		e := all[s.hand.place]
		if !e.Live(now) {
			s.remove(e) // another takes its place
			continue
		}
		if e.old != nil && clock.Elapsed(e.old.at, now) >= Grace {
			s.forget(e)
		}
		s.hand.place++
	}
}

// insert puts a session into all maps.
func (s *Memory) insert(e *entry) {
	sh := s.shard(e.Key)
	sh.put(e.Key, e)
	e.at = len(sh.all)
	sh.all = append(sh.all, e)
	u := s.user(e.User)
	if u.first == nil {
		u.first = map[string]*entry{}
	}
	if e.next = u.first[e.User]; e.next != nil {
		e.next.prev = e
	}
	u.first[e.User] = e
	u.peak = max(u.peak, len(u.first))
	s.count++
}

// remove takes a session out of all maps, under both keys.
func (s *Memory) remove(e *entry) {
	s.forget(e)
	sh := s.shard(e.Key)
	last := sh.all[len(sh.all)-1]
	sh.all[e.at], last.at = last, e.at
	sh.all[len(sh.all)-1] = nil
	sh.all = sh.all[:len(sh.all)-1]
	sh.drop(e.Key)
	s.unlink(e)
	s.count--
}

// forget makes the key before useless.
func (s *Memory) forget(e *entry) {
	if e.old != nil {
		s.shard(e.old.Key).drop(e.old.Key)
		e.old = nil
	}
}

// unlink takes a session out of its user's list.
func (s *Memory) unlink(e *entry) {
	u := s.user(e.User)
	switch {
	case e.prev != nil:
		e.prev.next = e.next
	case e.next != nil:
		u.first[e.User] = e.next
	default:
		delete(u.first, e.User)
	}
	if e.next != nil {
		e.next.prev = e.prev
	}
	if shrunk(len(u.first), u.peak) {
		u.first, u.peak = remade(u.first), len(u.first)
	}
}

func (sh *shard) put(key Key, e *entry) {
	if sh.byKey == nil {
		sh.byKey = map[place]*entry{}
	}
	sh.byKey[half(key)] = e
	sh.peak = max(sh.peak, len(sh.byKey))
}

func (sh *shard) drop(key Key) {
	delete(sh.byKey, half(key))
	if shrunk(len(sh.byKey), sh.peak) {
		sh.byKey, sh.peak = remade(sh.byKey), len(sh.byKey)
		sh.all = append(make([]*entry, 0, len(sh.all)), sh.all...)
	}
}

// shrunk reports whether a map is a quarter of what it was.
func shrunk(now, peak int) bool { return peak >= shrinkFrom && now < peak/4 }

func remade[K comparable](m map[K]*entry) map[K]*entry {
	small := make(map[K]*entry, len(m))
	maps.Copy(small, m)
	return small
}
