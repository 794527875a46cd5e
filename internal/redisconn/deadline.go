package redisconn

import (
	"context"
	"sync"
	"time"
)

// deadline is a context of one command. It has the values of another and a
// deadline of its own, and takes no notice of that other's cancellation: who stops
// waiting for an answer loses the connection, and does not know what happened. A
// context.WithDeadline would cost four allocations for each command.
type deadline struct {
	values context.Context
	at     time.Time
	done   chan struct{}
	timer  *time.Timer
}

var deadlines = sync.Pool{New: func() any {
	d := &deadline{done: make(chan struct{})}
	d.timer = time.AfterFunc(time.Hour, func() { close(d.done) })
	d.timer.Stop()
	return d
}}

// within returns a context that ends at a time. Call end when the command is over.
func within(values context.Context, at time.Time) *deadline {
	d := deadlines.Get().(*deadline)
	d.values, d.at = values, at
	d.timer.Reset(time.Until(at))
	return d
}

// end makes the context ready for another command, unless its time has come.
func (d *deadline) end() {
	if d.timer.Stop() {
		deadlines.Put(d)
	}
}

// Deadline, Done, Err and Value implement context.Context.
func (d *deadline) Deadline() (time.Time, bool) { return d.at, true }

func (d *deadline) Done() <-chan struct{} { return d.done }

func (d *deadline) Err() error {
	select {
	case <-d.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func (d *deadline) Value(key any) any { return d.values.Value(key) }
