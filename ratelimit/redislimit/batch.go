package redislimit

import (
	"errors"
	"sync"
)

// maxFlying script calls of a lane may be under way at once. Further decisions
// wait for one to land and then go together. A caller alone never waits.
const maxFlying = 2

// lane gathers decisions that may share a script call.
type lane struct {
	mu      sync.Mutex
	flying  int
	waiting []*call
}

// lanes are one lane for a single server, and one per busy slot of a Cluster,
// since a script's keys must be in one slot.
type lanes struct {
	one  lane
	mu   sync.Mutex
	slot map[int]*laneRef
}

type laneRef struct {
	lane
	users int
}

// do sends the call and waits for the answer. With an error other than that of
// a known failure, the call may still be under way.
func (l *lanes) do(s *Store, c *call) error {
	if s.cfg.Batch == 1 {
		s.send(c.alone[:], c)
		return c.err
	}
	if !s.cluster {
		return l.one.do(s, c)
	}
	l.mu.Lock()
	ref := l.slot[c.slot]
	if ref == nil {
		if l.slot == nil {
			l.slot = make(map[int]*laneRef)
		}
		ref = new(laneRef)
		l.slot[c.slot] = ref
	}
	ref.users++
	l.mu.Unlock()
	err := ref.do(s, c)
	l.mu.Lock()
	if ref.users--; ref.users == 0 {
		delete(l.slot, c.slot)
	}
	l.mu.Unlock()
	return err
}

func (l *lane) do(s *Store, c *call) error {
	l.mu.Lock()
	if l.flying < maxFlying {
		l.flying++
		l.mu.Unlock()
		s.send(c.alone[:], c)
		l.land(s)
		return c.err
	}
	l.waiting = append(l.waiting, c)
	l.mu.Unlock()

	c.timer.Reset(s.cfg.Timeout)
	defer c.timer.Stop()
	select {
	case batch := <-c.wake:
		if batch != nil {
			s.send(batch, c)
			l.land(s)
		}
		return c.err
	case <-c.timer.C:
	}
	if l.withdraw(c) {
		return errCrowded // never sent, so never charged
	}
	select {
	case batch := <-c.wake:
		if batch == nil {
			return c.err
		}
		go l.fly(s, batch[1:]) // too late for this one, not for the others
		return errCrowded
	default:
		s.counters.unknown.Add(1)
		return errLate
	}
}

var (
	errCrowded = errors.New("redislimit: no answer in time: not sent")
	errLate    = errors.New("redislimit: no answer in time: may be charged late")
)

// fly sends a batch for others.
func (l *lane) fly(s *Store, batch []*call) {
	if len(batch) > 0 {
		s.send(batch, nil)
	}
	l.land(s)
}

// withdraw removes a call that nobody has sent.
func (l *lane) withdraw(c *call) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, w := range l.waiting {
		if w == c {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// land ends a flight: the next batch takes off, sent by its first member.
func (l *lane) land(s *Store) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.waiting), s.cfg.Batch)
	if n == 0 {
		l.flying--
		return
	}
	batch := make([]*call, n)
	copy(batch, l.waiting)
	rest := copy(l.waiting, l.waiting[n:])
	clear(l.waiting[rest:])
	l.waiting = l.waiting[:rest]
	batch[0].wake <- batch
}
