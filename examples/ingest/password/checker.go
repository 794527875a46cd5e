package password

import (
	"context"
	"errors"
	"runtime"
	"time"
)

// Memory that checks may take in all, in bytes: what runs and what the last
// ones left for the garbage collector.
const maxCheckMemory = 256 << 20

// ErrBusy means that the turn of a check did not come in time.
var ErrBusy = errors.New("password: too many checks at once")

// Checker checks passwords a few at a time: each takes 64 MiB and a processor for
// a tenth of a second, and whoever can send requests can ask for it. A check
// waits for its turn for a moment and no longer, so that under a flood everybody
// gets an answer, and some the right one.
type Checker struct {
	turns   chan struct{}
	waiting chan struct{}
	wait    time.Duration
	garbage chan int // bytes that ended checks have left; the value is the lock
}

// NewChecker returns a checker for these hashes.
func NewChecker(hashes ...*Hash) *Checker {
	largest := 64 << 20
	for _, h := range hashes {
		largest = max(largest, int(h.memory)<<10)
	}
	// Half of the memory is for what runs, half for what is left behind.
	n := max(1, min(runtime.GOMAXPROCS(0), maxCheckMemory/2/largest))
	c := &Checker{
		turns: make(chan struct{}, n), waiting: make(chan struct{}, 32*n),
		wait: 2 * time.Second, garbage: make(chan int, 1),
	}
	c.garbage <- 0
	return c
}

// Check reports whether password is the hashed one, or ErrBusy.
func (c *Checker) Check(ctx context.Context, h *Hash, password string) (bool, error) {
	if err := c.enter(ctx); err != nil {
		return false, err
	}
	defer func() { <-c.turns }()
	c.collect(int(h.memory) << 10)
	return h.Matches(password), nil
}

// enter waits for a turn.
func (c *Checker) enter(ctx context.Context) error {
	select {
	case c.waiting <- struct{}{}:
		defer func() { <-c.waiting }()
	default:
		return ErrBusy
	}
	timer := time.NewTimer(c.wait)
	defer timer.Stop()
	select {
	case c.turns <- struct{}{}:
		return nil
	case <-timer.C:
		return ErrBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

// collect counts what a check will leave behind, and has it collected once that
// is half of the memory: left to itself, the collector lets the heap double
// first.
func (c *Checker) collect(size int) {
	left := <-c.garbage
	if left+size > maxCheckMemory/2 {
		runtime.GC()
		left = 0
	}
	c.garbage <- left + size
}
