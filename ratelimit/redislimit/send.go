package redislimit

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// group is equal decisions of one batch, charged with one pair of commands.
type group struct {
	first   *call
	members int
	ahead   int // repeats beyond the members, for a lease
}

// send makes one script call for a batch, answers every member and wakes all
// but the caller's own.
func (s *Store) send(batch []*call, own *call) {
	groups := gather(batch)
	started := time.Now()
	reply, err := s.run(groups, started)
	if err != nil && uncertain(err) {
		s.counters.unknown.Add(uint64(len(batch)))
	}
	at := 0
	for i := range groups {
		g := &groups[i]
		if err == nil && at+1+g.first.n > len(reply) {
			err = errReply
		}
		if err != nil {
			break
		}
		s.answer(g, batch, reply[at:at+1+g.first.n], started)
		at += 1 + g.first.n
	}
	for _, c := range batch {
		if err != nil {
			c.err = err
		}
		if c != own {
			c.wake <- nil
		}
	}
}

// gather merges equal decisions, keeping the order of the first of each.
func gather(batch []*call) []group {
	groups := make([]group, 0, len(batch))
next:
	for _, c := range batch {
		for i := range groups {
			if g := &groups[i]; c.id != 0 && g.first.id == c.id {
				g.members++
				continue next
			}
		}
		groups = append(groups, group{first: c, members: 1})
	}
	return groups
}

// run sends the script call of the groups.
func (s *Store) run(groups []group, now time.Time) ([]any, error) {
	var keyBuf [4]string
	keys, size := keyBuf[:0], 0
	for i := range groups {
		c := groups[i].first
		keys = append(keys, c.keys[:c.n]...)
		size += 2 + 4*c.n
	}
	packed := packArray(make([]byte, 0, 3+9*size), size)
	for i := range groups {
		g := &groups[i]
		g.ahead = s.memo.ahead(g.first, g.members, now)
		packed = g.first.pack(packed, g.members+g.ahead)
	}
	cmd, err := s.eval(context.Background(), s.take, keys, packed)
	if err != nil {
		return nil, err
	}
	return cmd.Slice()
}

// answer hands the reply of a group to its members. The first repeats that were
// charged are theirs, in order; what is left is a lease.
func (s *Store) answer(g *group, batch []*call, reply []any, started time.Time) {
	admitted, ok := reply[0].(int64)
	if !ok {
		admitted = 0
	}
	var busy [len(g.first.busy)]int64
	for i := range g.first.n {
		busy[i], _ = reply[1+i].(int64)
	}
	left := admitted
	for _, c := range batch {
		if c != g.first && (c.id == 0 || c.id != g.first.id) {
			continue
		}
		c.admitted = left > 0
		if left > 0 {
			left--
		}
		for i := range c.n {
			c.busy[i], c.short[i] = busy[i], busy[i] < 0
			if c.short[i] {
				c.busy[i] = -busy[i] - 1
				continue
			}
			// As this one left it: those behind it in the batch come later.
			c.busy[i] = max(c.busy[i]-left*c.terms[i].interval*c.terms[i].cost, 0)
		}
	}
	if g.first.id != 0 {
		s.memo.learn(g, admitted, started)
	}
}

// uncertain reports whether the command may have run, or may still run.
func uncertain(err error) bool {
	if _, ok := errors.AsType[redis.Error](err); ok || errors.Is(err, errOut) {
		return false
	}
	op, ok := errors.AsType[*net.OpError](err)
	return !ok || op.Op != "dial"
}
