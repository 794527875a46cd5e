package sessions

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"
)

// MemoryConfig bounds a [Memory].
type MemoryConfig struct {
	_ [0]func() // keyed literals only

	// MaxSessions is the most records kept. Default 100,000. When full, new
	// sessions are refused with ErrFull: evicting would let a flood sign
	// everybody out.
	MaxSessions int

	// MaxPerUser is the most sessions of one user. Default 64. One more ends the
	// least recently used live one of that user, if none is over already, so no
	// account can fill the store.
	MaxPerUser int
}

// Memory is a [Store] in this process: consistent, gone on restart, and never
// blocking on anything but its mutex. The zero value is full.
type Memory struct {
	max, perUser int

	// One lock for both maps: every method is a few map operations, and it is what
	// makes a kill and a concurrent swap happen in one order for everybody.
	mu      sync.Mutex
	records map[Key]*Record
	users   map[string]map[Key]*Record // the same records; no empty inner map
}

// How many records a creation looks at to find expired ones. With eight, a table
// that keeps growing holds at most about one dead record in eight.
const (
	probes     = 8
	probesFull = 128
)

// NewMemory returns an empty store.
func NewMemory(cfg MemoryConfig) (*Memory, error) {
	if cfg.MaxSessions == 0 {
		cfg.MaxSessions = 100_000
	}
	if cfg.MaxPerUser == 0 {
		cfg.MaxPerUser = 64
	}
	var errs []error
	if cfg.MaxSessions < 1 {
		errs = append(errs, &ConfigError{
			"MaxSessions", strconv.Itoa(cfg.MaxSessions), "want at least 1",
		})
	}
	if cfg.MaxPerUser < 1 {
		errs = append(errs, &ConfigError{
			"MaxPerUser", strconv.Itoa(cfg.MaxPerUser), "want at least 1",
		})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Memory{
		max: cfg.MaxSessions, perUser: cfg.MaxPerUser,
		records: map[Key]*Record{}, users: map[string]map[Key]*Record{},
	}, nil
}

// Load implements [Store]. A use is one assignment, so there is nothing to gain
// from recording only some.
func (s *Memory) Load(_ context.Context, key Key, access Access) (Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now() // under the lock, so that uses are ordered as their times
	rec := s.live(key, now)
	if rec == nil {
		return Record{}, ErrNotFound
	}
	if access == Use {
		rec.Seen = now
	}
	return *rec, nil
}

// Swap implements [Store]. The record that is replaced is not changed: copies of
// it may be in use outside the lock.
func (s *Memory) Swap(_ context.Context, old Key, next *Record) (Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if next == nil {
		s.remove(s.records[old])
		return Record{}, nil
	}
	stored := *next
	if old == (Key{}) {
		stored.Started, stored.Seen, stored.Version = now, now, 1
		return stored, s.create(&stored, now)
	}
	current := s.live(old, now)
	if current == nil {
		return Record{}, ErrNotFound
	}
	if current.Version != next.Version {
		return Record{}, ErrConflict
	}
	stored.Started, stored.Seen = current.Started, current.Seen
	if stored.Key != old {
		stored.Started, stored.Seen = now, now
	}
	stored.Version++
	s.remove(current)
	s.insert(&stored)
	return stored, nil
}

// List implements [Store].
func (s *Memory) List(_ context.Context, user string) ([]Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	list := make([]Record, 0, len(s.users[user]))
	for _, rec := range s.users[user] {
		if rec.Live(now) {
			list = append(list, *rec)
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
		ended := len(s.records)
		s.records, s.users = map[Key]*Record{}, map[string]map[Key]*Record{}
		return ended, nil
	}
	ended, now := 0, time.Now()
	for _, rec := range s.users[which.User] {
		if which.Only != "" && rec.ID != which.Only || which.Except != "" && rec.ID == which.Except {
			continue
		}
		if rec.Live(now) {
			ended++
		}
		s.remove(rec)
	}
	return ended, nil
}

// Len returns how many records are held, expired ones included: a gauge.
func (s *Memory) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.records)
}

// live returns the record under key unless it is over; then it is removed.
func (s *Memory) live(key Key, now time.Time) *Record {
	rec := s.records[key]
	if rec == nil || rec.Live(now) {
		return rec
	}
	s.remove(rec)
	return nil
}

// create makes room and inserts. Only sessions that are over, and the user's own,
// make room: nobody can sign others out by signing in often.
func (s *Memory) create(rec *Record, now time.Time) error {
	s.expire(probes, now)
	if len(s.records) >= s.max {
		s.expire(probesFull, now)
	}
	if len(s.users[rec.User]) >= s.perUser {
		s.remove(leastRecent(s.users[rec.User], now))
	}
	if len(s.records) >= s.max {
		return ErrFull
	}
	if s.records[rec.Key] != nil {
		return ErrConflict
	}
	s.insert(rec)
	return nil
}

// expire removes what is over among a few records. Map iteration starts at a
// random place, so every record is found sooner or later at constant cost.
func (s *Memory) expire(look int, now time.Time) {
	for _, rec := range s.records {
		if look--; look < 0 {
			return
		}
		if !rec.Live(now) {
			s.remove(rec)
		}
	}
}

// insert and remove keep the two maps in step.
func (s *Memory) insert(rec *Record) {
	s.records[rec.Key] = rec
	if s.users[rec.User] == nil {
		s.users[rec.User] = map[Key]*Record{}
	}
	s.users[rec.User][rec.Key] = rec
}

func (s *Memory) remove(rec *Record) {
	if rec == nil {
		return
	}
	delete(s.records, rec.Key)
	delete(s.users[rec.User], rec.Key)
	if len(s.users[rec.User]) == 0 {
		delete(s.users, rec.User)
	}
}

// leastRecent walks at most MaxPerUser records. One that is over goes first, however
// recently it was used: limits differ from record to record.
func leastRecent(records map[Key]*Record, now time.Time) *Record {
	var oldest *Record
	for _, rec := range records {
		if !rec.Live(now) {
			return rec
		}
		if oldest == nil || rec.Seen.Before(oldest.Seen) {
			oldest = rec
		}
	}
	return oldest
}
