package delivery

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opsmantik/sallyport/examples/ingest/store"
)

const (
	// firstRate is how many events a second are thought to be settled until that
	// was measured.
	firstRate = 10_000
	// least is a backlog that is nothing to worry about: what is on its way, twice.
	least = 2 * lanes * batchEvents
	// longestDelay is how long a sender waits, at most, so that deliveries keep up.
	longestDelay = 200 * time.Millisecond
	// stalled: after so long without a delivery, making senders wait helps nobody.
	stalled = time.Second
	// letterAge is how long a number of dead letters is believed.
	letterAge = time.Second
)

// flow keeps the backlog at what can be settled soon. Where accepting is cheaper than
// settling, a queue only hides that for a while: senders are told to wait first, by
// a short delay that grows with the backlog, and turned away before there is more
// than a restart could settle in the time that was promised.
type flow struct {
	queue store.Queue
	limit time.Duration // of a backlog; 0: whatever the queue takes

	full    atomic.Bool
	settled atomic.Int64 // when something was, in Unix milliseconds
	letters atomic.Int64

	mu     sync.Mutex
	rate   float64   // events a second, of full batches
	asked  time.Time // for the dead letters
	events int
	busy   time.Duration
}

// note takes account of a batch that was settled in the time that one lane took.
func (f *flow) note(events int, took time.Duration) {
	f.settled.Store(time.Now().UnixMilli())
	if events < batchEvents/2 {
		return // it would tell of the pauses, and not of what is possible
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events, f.busy = f.events+events, f.busy+took
	if f.busy < time.Second/4 {
		return
	}
	measured := lanes * float64(f.events) / f.busy.Seconds()
	f.rate += (measured - f.rate) / 4
	f.events, f.busy = 0, 0
}

// count reads the number of dead letters now and then: they wait for somebody, and
// not for a delivery.
func (f *flow) count(ctx context.Context) {
	f.mu.Lock()
	due := time.Since(f.asked) > letterAge
	if due {
		f.asked = time.Now()
	}
	f.mu.Unlock()
	if !due {
		return
	}
	if n, err := f.queue.Dead(ctx); err == nil {
		f.letters.Store(n)
	}
}

// perSecond is how many events are settled in a second while there are enough.
func (f *flow) perSecond() float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return max(f.rate, 1)
}

// admit waits for as long as the sender of some events has to, or turns him away.
func (f *flow) admit(ctx context.Context) error {
	backlog, rate := f.backlog(), f.perSecond()
	if f.over() {
		over := time.Duration((backlog - f.bound(rate)*4/5) / rate * float64(time.Second))
		return &store.Overload{RetryAfter: min(max(over, time.Second), time.Minute)}
	}
	if time.Now().UnixMilli()-f.settled.Load() > stalled.Milliseconds() {
		return nil
	}
	soft := max(rate/4, least)
	delay := min(time.Duration((backlog-soft)/rate*float64(time.Second)), longestDelay)
	sleep(ctx, max(delay, 0), nil)
	return nil
}

func (f *flow) backlog() float64 { return float64(f.queue.Waiting() - f.letters.Load()) }

func (f *flow) bound(rate float64) float64 { return max(rate*f.limit.Seconds(), least) }

// over reports whether there is more than there may be. Once there is, that stays
// so until a fifth is gone: a number around the bound would send balancers to and
// fro.
func (f *flow) over() bool {
	if f.limit == 0 {
		return false
	}
	bound := f.bound(f.perSecond())
	if f.full.Load() {
		bound = bound * 4 / 5
	}
	over := f.backlog() > bound
	f.full.Store(over)
	return over
}
