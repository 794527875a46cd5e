package storetest_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/opsmantik/sallyport/sessions"
)

// naive is the contract in its plainest form: one list, looked through each time.
// A fault breaks it in one way.
type naive struct {
	room  int
	fault string

	mu   sync.Mutex
	list []*held
	// index counts each user's sessions, as a store with a counter would.
	index map[string]time.Time // until when it is kept
}

type held struct {
	sessions.Record
	old   *sessions.Record
	since time.Time
}

func newNaive(room int, fault string) *naive {
	return &naive{room: room, fault: fault, index: map[string]time.Time{}}
}

func (s *naive) is(fault string) bool { return s.fault == fault }

func (s *naive) lives(h *held, now time.Time) bool {
	if s.is("expiry late by a resolution") {
		now = now.Add(-1)
	}
	if s.is("lifetime ignored") {
		return now.Sub(h.Seen) < h.Idle
	}
	return h.Live(now)
}

// sweep forgets what is over.
func (s *naive) sweep(now time.Time) {
	if !s.is("no expiry") {
		s.list = slices.DeleteFunc(s.list, func(h *held) bool { return !s.lives(h, now) })
	}
	if s.is("no time to live on a counter") {
		return
	}
	for user, until := range s.index {
		if !now.Before(until) {
			delete(s.index, user)
		}
	}
}

func (s *naive) same(a, b sessions.Key) bool {
	return a.Hash == b.Hash && (a.Tag == b.Tag || s.is("ignored tag"))
}

// find returns the session with that key now, or else with that key before.
func (s *naive) find(key sessions.Key, now time.Time) (h *held, before bool) {
	for _, h := range s.list {
		if s.same(h.Key, key) {
			return h, false
		}
	}
	for _, h := range s.list {
		grace := now.Sub(h.since) < sessions.Grace || s.is("grace without end")
		if h.old != nil && s.same(h.old.Key, key) && grace && !s.is("no grace") {
			return h, true
		}
	}
	return nil, false
}

func (s *naive) Load(
	_ context.Context, key sessions.Key, access sessions.Access,
) (sessions.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.sweep(now)
	h, before := s.find(key, now)
	switch {
	case h == nil || !s.lives(h, now):
		return sessions.Record{}, sessions.ErrNoSession
	case before && s.is("old key has the new level"):
		return h.Record, nil
	case before:
		return *h.old, nil
	}
	rec := h.Record
	throttled := s.is("uses throttled by minutes") && now.Sub(h.Seen) < time.Minute
	if access == sessions.Use && !throttled || s.is("peeking is a use") {
		h.Seen = now
		rec.Seen = now
	}
	if s.is("uses are written back late") && access == sessions.Use {
		s.mu.Unlock()
		pause() // until it has been ended
		s.mu.Lock()
		if h, _ := s.find(key, now); h == nil {
			s.list = append(s.list, &held{Record: rec})
		}
	}
	return rec, nil
}

func (s *naive) Create(_ context.Context, rec *sessions.Record) (sessions.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.sweep(now)
	if h, _ := s.find(rec.Key, now); h != nil && !s.is("create overwrites") {
		return sessions.Record{}, sessions.ErrConflict
	}
	s.makeRoom(rec)
	if len(s.list) >= s.room && !s.is("no cap") {
		return sessions.Record{}, sessions.ErrFull
	}
	h := &held{Record: *rec}
	h.Started, h.Seen, h.Version = now, now, 1
	if s.is("label lost") {
		h.Client = ""
	}
	s.list = append(s.list, h)
	s.index[h.User] = now.Add(h.Lifetime)
	return h.Record, nil
}

// makeRoom ends the user's least recently used session beyond the limit.
func (s *naive) makeRoom(rec *sessions.Record) {
	var own []*held
	for _, h := range s.list {
		if h.User == rec.User {
			own = append(own, h)
		}
	}
	if rec.PerUser == 0 || len(own) < rec.PerUser || s.is("no cap per user") {
		return
	}
	slices.SortFunc(own, func(a, b *held) int { return a.Seen.Compare(b.Seen) })
	victims := own[:len(own)-rec.PerUser+1]
	switch {
	case s.is("cap ends the newest"):
		victims = own[rec.PerUser-1:]
	case s.is("cap ends one at a time"):
		victims = own[:1]
	}
	s.list = slices.DeleteFunc(s.list, func(h *held) bool { return slices.Contains(victims, h) })
}

func (s *naive) Replace(
	_ context.Context, old sessions.Key, next *sessions.Record,
) (sessions.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.sweep(now)
	h, before := s.find(old, now)
	if h == nil && s.is("resurrection") {
		h = &held{Record: *next}
		s.list = append(s.list, h)
	}
	if h == nil || before && !s.is("old key writes") {
		return sessions.Record{}, sessions.ErrNoSession
	}
	if h.Version != next.Version && !s.is("lost update") {
		return sessions.Record{}, sessions.ErrConflict
	}
	if s.is("compare apart from replace") {
		s.mu.Unlock()
		pause() // until everybody else has compared
		s.mu.Lock()
	}
	was := h.Record
	h.Record = *next
	h.Started, h.Seen, h.Version = was.Started, was.Seen, was.Version+1
	if next.Key != old {
		was.Replaced = true
		h.old, h.since = &was, now
		if !s.is("rotation keeps the start") {
			h.Started, h.Seen = now, now
		}
	}
	if s.is("replacing is a use") {
		h.Seen = now
	}
	return h.Record, nil
}

func (s *naive) List(_ context.Context, user string) ([]sessions.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var list []sessions.Record
	for _, h := range s.list {
		if (h.User == user || s.is("list shows everybody's")) &&
			(s.lives(h, now) || s.is("list shows what is over")) {
			list = append(list, h.Record)
		}
	}
	return list, nil
}

func (s *naive) End(_ context.Context, which sessions.Selection) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if !s.is("list shows what is over") {
		s.sweep(now)
	}
	dead := which.Except != "" && !slices.ContainsFunc(s.list, func(h *held) bool {
		return h.User == which.User && h.ID == which.Except
	})
	if dead && !which.Everyone && !s.is("a dead session ends others") {
		return 0, sessions.ErrNoSession
	}
	ended := 0
	keep := s.list[:0:0]
	for _, h := range s.list {
		mine := h.User == which.User && (which.Only == "" || h.ID == which.Only) &&
			(which.Except == "" || h.ID != which.Except)
		if s.is("anybody ends anybody's") && which.Only != "" {
			mine = h.ID == which.Only
		}
		if !mine && !which.Everyone {
			keep = append(keep, h)
			continue
		}
		ended++
		if s.is("old key outlives the session") && h.old != nil {
			was := *h.old
			was.Replaced = false
			keep = append(keep, &held{Record: was})
		}
		if !s.is("leaking index") {
			delete(s.index, h.User)
		}
	}
	s.list = keep
	if which.Everyone && s.is("End(Everyone) returns 0") {
		ended = 0
	}
	return ended, nil
}

func (s *naive) held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.list) + len(s.index)
}
