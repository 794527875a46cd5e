package redislimit

import (
	"context"
	"errors"
	"net"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport/internal/redisconn"
	"github.com/opsmantik/sallyport/ratelimit"
)

// group is equal decisions of one batch, charged with one pair of commands.
type group struct {
	first   *call
	members int64
	ahead   int64 // repeats beyond the members, for a lease
	busy    [ratelimit.MaxPolicies]int64
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
		if err == nil && (at+1+g.first.n > len(reply) || !integers(reply[at:at+1+g.first.n])) {
			err = errReply
		}
		if err != nil {
			s.memo.learn(g, -1, started)
			continue
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
	groups := batch[0].groups[:0]
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
	batch[0].groups = groups
	return groups
}

// run sends the script call of the groups.
func (s *Store) run(groups []group, now time.Time) ([]any, error) {
	var keyBuf [4]string
	keys := keyBuf[:0]
	for i := range groups {
		c := groups[i].first
		keys = append(keys, c.keys[:c.n]...)
	}
	scratch := groups[0].first
	packed := scratch.packed[:0]
	for i := range groups {
		g := &groups[i]
		g.ahead = s.memo.ahead(g.first, int(g.members), now)
		packed = g.first.pack(packed, g.members+g.ahead)
	}
	scratch.packed = packed
	scratch.args = slices.Grow(scratch.args[:0], 4+len(keys))
	cmd, err := s.eval(context.Background(), s.take, scratch.args, keys, packed)
	if err != nil {
		return nil, err
	}
	return cmd.Slice()
}

// answer hands the reply of a group to its members. The first repeats that were
// charged are theirs, in order; what is left is a lease.
func (s *Store) answer(g *group, batch []*call, reply []any, started time.Time) {
	admitted, _ := reply[0].(int64) // integers has said so
	var short [ratelimit.MaxPolicies]bool
	for i := range g.first.n {
		g.busy[i], _ = reply[1+i].(int64)
		if short[i] = g.busy[i] < 0; short[i] {
			g.busy[i] = -g.busy[i] - 1
		}
	}
	left := admitted
	for _, c := range batch {
		if c != g.first && (c.id == 0 || c.id != g.first.id) {
			continue
		}
		c.admitted = left > 0
		left = max(left-1, 0)
		c.busy, c.short = g.busy, short
		for i, t := range c.terms[:c.n] {
			if !short[i] {
				// As this one left it: those behind it in the batch come later.
				c.busy[i] = max(c.busy[i]-left*t.interval*t.cost, 0)
			}
		}
	}
	s.memo.learn(g, admitted, started)
}

// integers reports whether a reply is what the script returns. What is not must
// not be read as a bucket that is full.
func integers(reply []any) bool {
	return !slices.ContainsFunc(reply, func(v any) bool {
		_, ok := v.(int64)
		return !ok
	})
}

// uncertain reports whether the command may have run, or may still run.
func uncertain(err error) bool {
	if _, out := errors.AsType[*redisconn.Outage](err); out {
		return false
	}
	if _, ok := errors.AsType[redis.Error](err); ok || errors.Is(err, redisconn.ErrBusy) {
		return false
	}
	op, ok := errors.AsType[*net.OpError](err)
	return !ok || op.Op != "dial"
}
