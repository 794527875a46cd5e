package sessions

import (
	"context"
	"hash/maphash"
	"strconv"
	"sync"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/clock"
	"github.com/opsmantik/sallyport/internal/configerr"
)

// MemoryConfig configures a [Memory].
type MemoryConfig struct {
	_ [0]func() // keyed literals only

	// MaxSessions is the most sessions kept. Default 100,000; at least 1. When
	// full, new sessions are refused with ErrFull: evicting would let a flood sign
	// everybody out.
	MaxSessions int
}

// Memory is a [Store] in this process: consistent, gone on restart, and never
// blocking on anything but its mutex. The zero value is full.
type Memory struct {
	max  int
	seed maphash.Seed

	// One lock for all maps: every method is a few map operations, and it is what
	// makes an end and a concurrent change happen in one order for everybody.
	mu     sync.Mutex
	shards [shards]shard
	users  [shards]userShard
	count  int // sessions held, those included that are over
	hand   struct{ shard, place int }
}

const (
	// A shard is what one operation may have to copy: maps of Go do not shrink, so
	// one that has lost most of its sessions is made anew. At a million sessions
	// that is 4,000 pointers.
	shards     = 64
	shrinkFrom = 256
	// How many sessions a creation looks at to find those that are over. With
	// eight, a growing table holds at most about one dead session in eight.
	looks     = 8
	looksFull = 256
)

// place is half a hash: enough to be unique, and half the memory.
type place [16]byte

type shard struct {
	byKey map[place]*entry // under its key, and for a while under the one before
	all   []*entry         // each session once, for the hand
	peak  int              // most keys since the map was made
}

type userShard struct {
	first map[string]*entry // a user's sessions, linked
	peak  int
}

type entry struct {
	Record
	old        *replaced
	next, prev *entry // of the same user
	at         int    // place in all
}

// replaced is what the key before reads.
type replaced struct {
	Record
	at time.Time
}

// NewMemory returns an empty store.
func NewMemory(cfg MemoryConfig) (*Memory, error) {
	if cfg.MaxSessions == 0 {
		cfg.MaxSessions = 100_000
	}
	if cfg.MaxSessions < 1 {
		bad := configerr.For(gate)
		bad.Add("MaxSessions", strconv.Itoa(cfg.MaxSessions), sallyport.ConfigOutOfRange,
			"want at least 1")
		return nil, bad.Err()
	}
	return &Memory{max: cfg.MaxSessions, seed: maphash.MakeSeed()}, nil
}

// Load implements [Store]. A use is one assignment, so there is nothing to gain
// from recording only some.
func (s *Memory) Load(_ context.Context, key Key, access Access) (Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now() // under the lock, so that uses are ordered as their times
	s.expire(1, now)
	e := s.live(key, now)
	if e == nil {
		return Record{}, ErrNoSession
	}
	if e.Key != key {
		return e.old.Record, nil
	}
	if access == Use {
		e.Seen = now
	}
	return e.Record, nil
}

// Create implements [Store]. Only sessions that are over, and the user's own,
// make room: nobody can sign others out by signing in often.
func (s *Memory) Create(_ context.Context, rec *Record) (Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.expire(looks, now)
	if s.count >= s.max {
		s.expire(looksFull, now)
	}
	if s.shard(rec.Key).byKey[half(rec.Key)] != nil {
		return Record{}, ErrConflict
	}
	s.makeRoom(rec, now)
	if s.count >= s.max {
		return Record{}, ErrFull
	}
	e := &entry{Record: *rec}
	e.Started, e.Seen, e.Version, e.Replaced = now, now, 1, false
	s.insert(e)
	return e.Record, nil
}

// Replace implements [Store].
func (s *Memory) Replace(_ context.Context, old Key, next *Record) (Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	e := s.live(old, now)
	if e == nil || e.Key != old {
		return Record{}, ErrNoSession
	}
	if e.Version != next.Version {
		return Record{}, ErrConflict
	}
	stored := *next
	stored.Started, stored.Seen, stored.Version, stored.Replaced = e.Started, e.Seen, e.Version+1, false
	if stored.Key == old {
		e.Record = stored
		return stored, nil
	}
	if s.shard(stored.Key).byKey[half(stored.Key)] != nil {
		return Record{}, ErrConflict
	}
	stored.Started, stored.Seen = now, now
	before := &replaced{Record: e.Record, at: now}
	before.Replaced = true
	s.remove(e)
	renewed := &entry{Record: stored, old: before}
	s.insert(renewed)
	s.shard(old).put(old, renewed)
	return stored, nil
}

// List implements [Store].
func (s *Memory) List(_ context.Context, user string) ([]Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var list []Record
	for e := s.user(user).first[user]; e != nil; e = e.next {
		if e.Live(now) {
			list = append(list, e.Record)
		}
	}
	return list, nil
}

// End implements [Store]. Ending everyone drops the maps instead of walking them,
// so it takes no longer with a million sessions than with one.
func (s *Memory) End(_ context.Context, which Selection) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if which.Everyone {
		ended := s.count
		s.shards, s.users, s.count = [shards]shard{}, [shards]userShard{}, 0
		return ended, nil
	}
	now := time.Now()
	if which.Except != "" && !s.has(which.User, which.Except, now) {
		return 0, ErrNoSession
	}
	ended := 0
	for e := s.user(which.User).first[which.User]; e != nil; {
		next := e.next
		chosen := which.Only == "" || e.ID == which.Only
		if chosen && e.ID != which.Except {
			if e.Live(now) {
				ended++
			}
			s.remove(e)
		}
		e = next
	}
	return ended, nil
}

// Len returns how many sessions are held, those included that are over: a gauge.
func (s *Memory) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// live returns the session that has or just had this key, unless it is over; then
// it is removed.
func (s *Memory) live(key Key, now time.Time) *entry {
	e := s.shard(key).byKey[half(key)]
	if e == nil {
		return nil
	}
	if !e.Live(now) {
		s.remove(e)
		return nil
	}
	if e.Key == key {
		return e
	}
	if e.old == nil || e.old.Key != key {
		return nil // half the hash is the same, which chance does not bring about
	}
	if clock.Elapsed(e.old.at, now) >= Grace {
		s.forget(e)
		return nil
	}
	return e
}

// has reports whether a user's session with this ID lives.
func (s *Memory) has(user, id string, now time.Time) bool {
	for e := s.user(user).first[user]; e != nil; e = e.next {
		if e.ID == id {
			return e.Live(now)
		}
	}
	return false
}

// makeRoom ends the user's least recently used sessions beyond the limit. It may have
// been higher when they began.
func (s *Memory) makeRoom(rec *Record, now time.Time) {
	for rec.PerUser > 0 {
		oldest, count := s.leastRecent(rec.User, now)
		if count < rec.PerUser {
			return
		}
		s.remove(oldest)
	}
}

// leastRecent returns a user's least recently used session, and how many there
// are. One that is over goes first, however recently it was used: limits differ
// from session to session.
func (s *Memory) leastRecent(user string, now time.Time) (oldest *entry, count int) {
	over := false
	for e := s.user(user).first[user]; e != nil; e = e.next {
		count++
		if over {
			continue
		}
		if over = !e.Live(now); over || oldest == nil || e.Seen.Before(oldest.Seen) {
			oldest = e
		}
	}
	return oldest, count
}
