package redislimit

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"time"

	"github.com/opsmantik/sallyport/ratelimit"
)

// call is one decision on its way to Redis.
type call struct {
	id      uint64 // equal for equal decisions; 0 may not be merged or remembered
	n       int
	keys    [ratelimit.MaxPolicies]string
	terms   [ratelimit.MaxPolicies]term
	breaker *breaker
	slot    int

	// Filled by the answer.
	admitted bool
	busy     [ratelimit.MaxPolicies]int64 // nanoseconds until full
	short    [ratelimit.MaxPolicies]bool  // a shadow policy that did not fit
	err      error

	wake  chan []*call // nil: answered; else: this goroutine sends the batch
	timer *time.Timer

	// Reused from decision to decision by the one who sends.
	alone  [1]*call
	groups []group
	packed []byte
	args   []any
}

// term is a policy as the script sees it.
type term struct {
	interval, burst, cost int64
	shadow                bool
}

func newCall() *call {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return &call{wake: make(chan []*call, 1), timer: timer}
}

func (c *call) fill(s *Store, id uint64, policies []ratelimit.Policy) error {
	*c = call{
		id: id, n: len(policies), wake: c.wake, timer: c.timer, alone: [1]*call{c},
		groups: c.groups[:0], packed: c.packed[:0], args: c.args[:0],
	}
	for i := range policies {
		p := &policies[i]
		c.keys[i] = s.names.name(domainBucket, p)
		c.terms[i] = termOf(p)
		if s.cluster && s.names.tag(c.keys[i]) != s.names.tag(c.keys[0]) {
			return errCrossSlot
		}
	}
	tag := s.names.tag(c.keys[0])
	c.breaker = s.breaker(tag)
	if s.cluster {
		c.slot = slot(tag)
	}
	return nil
}

func termOf(p *ratelimit.Policy) term {
	return term{
		interval: int64(p.Limit.Interval()), burst: int64(p.Limit.Capacity()),
		cost: int64(p.Cost), shadow: p.Shadow,
	}
}

// id is a hash of a whole decision, or 0 for one that must always be made by
// Redis itself: where budget may be given back, yesterday's denial is no
// answer.
func (s *Store) id(policies []ratelimit.Policy) uint64 {
	var id uint64
	for i := range policies {
		p := &policies[i]
		if p.Cost < 1 {
			return 0
		}
		h := maphash.Comparable(s.seed, identity{p.Name, p.Key, termOf(p)})
		hi, lo := bits.Mul64(id^h, 0x9E3779B97F4A7C15) // the order counts
		id = hi ^ lo
	}
	return id | 1
}

type identity struct {
	name string
	key  ratelimit.Key
	term term
}

// result is a policy's part of the answer.
func (c *call) result(p *ratelimit.Policy, i int) ratelimit.Result {
	r := p.Result(time.Duration(c.busy[i]))
	if c.admitted && !c.short[i] {
		r.Fits, r.RetryAfter = true, 0
	}
	return r
}

// pack appends the call to the script's argument.
func (c *call) pack(b []byte, repeats int64) []byte {
	b = packInt(packInt(b, int64(c.n)), repeats)
	for _, t := range c.terms[:c.n] {
		b = packInt(packInt(packInt(b, t.interval), t.burst), t.cost)
		if t.shadow {
			b = packInt(b, 1)
		} else {
			b = packInt(b, 0)
		}
	}
	return b
}

// packInt appends a MessagePack integer: one byte if small, else int 64.
func packInt(b []byte, n int64) []byte {
	if 0 <= n && n < 128 {
		return append(b, byte(n))
	}
	return binary.BigEndian.AppendUint64(append(b, 0xd3), uint64(n)) // #nosec G115 -- bits kept
}
