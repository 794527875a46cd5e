package watch

import (
	"cmp"
	"hash/maphash"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

const (
	ways      = 8
	sets      = 128 // so a table holds 1,024 keys
	labelSize = 48
	// tries is how often a lock is asked for. Nobody waits for it.
	tries = 32
)

// table holds a bucket for each of the keys that had most events lately. A new key
// takes the place of the emptiest bucket of its set: whoever comes with a million keys
// pushes out its own.
type table struct {
	sets    [sets]set
	dropped *atomic.Uint64
}

type set struct {
	mu   sync.Mutex
	ways [ways]bucket
}

type bucket struct {
	key    uint64 // 0: free
	level  float64
	at     int64 // the second up to which it has leaked
	since  int64
	poured uint64
	label  label
	recent []uint64 // distinct values, oldest overwritten
	next   int
}

// label is a key to show, cut off where it is too long.
type label struct {
	text [labelSize]byte
	n    uint8
	addr bool // text is an address
}

func (l *label) String() string {
	if l.addr {
		return netip.AddrFrom16([16]byte(l.text[:16])).Unmap().String()
	}
	return string(l.text[:l.n])
}

// pour adds an event to the bucket of a key. It reports false if the lock was taken by
// others all the time.
func (t *table) pour(k key, now int64, leak float64, do func(*bucket)) {
	s := &t.sets[k.hash%sets]
	for range tries {
		if s.mu.TryLock() {
			do(s.find(k, now, leak))
			s.mu.Unlock()
			return
		}
	}
	t.dropped.Add(1)
}

// find returns the bucket of the key, after it has leaked.
func (s *set) find(k key, now int64, leak float64) *bucket {
	least := &s.ways[0]
	for i := range s.ways {
		b := &s.ways[i]
		b.level = max(0, b.level-float64(now-b.at)*leak)
		b.at = now
		if b.key == k.hash {
			return b
		}
		if b.key == 0 || least.key != 0 && b.level < least.level {
			least = b
		}
	}
	clear(least.recent)
	*least = bucket{key: k.hash, at: now, since: now, label: k.label, recent: least.recent}
	return least
}

// add pours one event in, unless its distinct value was there lately.
func (b *bucket) add(distinct uint64, now int64) {
	if b.level == 0 {
		b.since, b.poured = now, 0
	}
	b.poured++
	if b.recent != nil && distinct != 0 {
		if slices.Contains(b.recent, distinct) {
			return
		}
		b.recent[b.next] = distinct
		b.next = (b.next + 1) % len(b.recent)
	}
	b.level++
}

// halve lets the past count less.
func (t *table) halve() {
	for i := range t.sets {
		s := &t.sets[i]
		s.mu.Lock()
		for w := range s.ways {
			s.ways[w].level /= 2
		}
		s.mu.Unlock()
	}
}

// Contributor is who contributed to an alert, and how much lately.
type Contributor struct {
	Key    string  `json:"key"`
	Events float64 `json:"events"`
}

// top returns the fullest buckets.
func (t *table) top(n int) []Contributor {
	var all []Contributor
	for i := range t.sets {
		s := &t.sets[i]
		s.mu.Lock()
		for w := range s.ways {
			if b := &s.ways[w]; b.key != 0 && b.level >= 1 {
				all = append(all, Contributor{b.label.String(), b.level})
			}
		}
		s.mu.Unlock()
	}
	slices.SortFunc(all, func(x, y Contributor) int { return cmp.Compare(y.Events, x.Events) })
	return all[:min(n, len(all))]
}

// key is the value of a Key in an event.
type key struct {
	hash  uint64
	label label
}

// text makes a key of a string: itself to be shown, or its hash.
func (e *Engine) text(s string, show bool) (k key) {
	k.hash = maphash.String(e.seed, s) | 1
	if show {
		k.label.n = uint8(copy(k.label.text[:], s)) // #nosec G115 -- at most labelSize
	} else {
		b := append(k.label.text[:0], '#')
		k.label.n = uint8(len(strconv.AppendUint(b, k.hash>>32, 16))) // #nosec G115 -- likewise
	}
	return k
}

func (e *Engine) address(a netip.Addr) (k key) {
	if a.Is6() && !a.Is4In6() {
		p, _ := a.Prefix(64) // one network is one client
		a = p.Addr()
	}
	raw := a.As16()
	k.hash = maphash.Bytes(e.seed, raw[:]) | 1
	copy(k.label.text[:], raw[:])
	k.label.addr = true
	return k
}
