package load

import "sync"

// Ledger holds what was acknowledged against what is stored.
type Ledger struct {
	from   int64 // the first number
	mu     sync.Mutex
	acked  []bool
	stored []uint8
	count  int
}

func (l *Ledger) acknowledge(first int64, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first -= l.from
	l.grow(first + int64(n))
	for i := range int64(n) {
		l.acked[first+i] = true
	}
	l.count += n
}

// grow makes room for numbers below n.
func (l *Ledger) grow(n int64) {
	if more := int(n) - len(l.acked); more > 0 {
		l.acked = append(l.acked, make([]bool, more)...)
		l.stored = append(l.stored, make([]uint8, more)...)
	}
}

// Acknowledged is the number of events and calls that the server has taken.
func (l *Ledger) Acknowledged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// Found says that storage holds one row under this name: an event's label or a
// call's event id. Names that are not of this run are left alone.
func (l *Ledger) Found(name string) {
	n, ok := number(name)
	if n -= l.from; !ok || n < 0 || n >= maxEvents {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.grow(n + 1)
	if l.stored[n] < 2 {
		l.stored[n]++
	}
}

// Settle says what became of all that was acknowledged, once everything in storage
// was Found.
func (l *Ledger) Settle() (lost, twice int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := range l.acked {
		if l.acked[n] && l.stored[n] == 0 {
			lost++
		}
		if l.stored[n] > 1 {
			twice++
		}
	}
	return lost, twice
}
