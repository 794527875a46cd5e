package apikey

import (
	"context"
	"sync"
	"time"
)

// deadline is a context that ends at a time, and starts its timer only for a store that
// waits for it. A timer costs more than all else that a valid key is checked with, and
// a store in memory never looks.
type deadline struct {
	context.Context // the parent

	began time.Time
	limit time.Duration

	mu     sync.Mutex
	timed  context.Context    // nil until somebody waits
	cancel context.CancelFunc // of timed; without it, what stop leaves
}

// stopped says that a deadline without a timer has been stopped. A word more in the
// struct is a size class more.
func stopped() {}

// Deadline implements context.Context.
func (d *deadline) Deadline() (time.Time, bool) {
	at := d.began.Add(d.limit)
	if parent, ok := d.Context.Deadline(); ok && parent.Before(at) {
		return parent, true
	}
	return at, true
}

// Done implements context.Context.
func (d *deadline) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timed == nil {
		over := d.cancel != nil
		d.timed, d.cancel = context.WithDeadline(d.Context, d.began.Add(d.limit))
		if over {
			d.cancel()
		}
	}
	return d.timed.Done()
}

// Err implements context.Context.
func (d *deadline) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.timed != nil:
		return d.timed.Err()
	case d.Context.Err() != nil:
		return d.Context.Err()
	case d.cancel != nil:
		return context.Canceled
	case time.Since(d.began) >= d.limit:
		return context.DeadlineExceeded
	}
	return nil
}

// stop ends it now.
func (d *deadline) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timed == nil {
		d.cancel = stopped
		return
	}
	d.cancel()
}
