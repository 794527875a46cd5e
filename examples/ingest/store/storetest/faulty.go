package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
)

// QueueFaults are what the suite of queues has to find.
var QueueFaults = []string{
	"loses what is refused", "does not wait", "replays nothing", "never dies", "sees no conflict",
	"accepts after closing", "hands out twice", "keeps what is given back", "loses a request's tail",
	"forgets what is delivered", "counts items", "lists without a scope", "is always ready",
	"takes nothing apart", "ignores the limit",
}

// FaultyQueue is a queue with one of QueueFaults.
type FaultyQueue struct {
	store.Queue
	Fault string
}

// Take hands out items.
func (q FaultyQueue) Take(ctx context.Context, limit, maxBytes int) ([]store.Item, error) {
	if q.Fault == "ignores the limit" {
		limit, maxBytes = 1000, 1<<30
	}
	items, err := q.Queue.Take(ctx, limit, maxBytes)
	if q.Fault == "hands out twice" {
		return items, errors.Join(err, q.Queue.Release(ctx, items))
	}
	return items, err
}

// Release gives items back.
func (q FaultyQueue) Release(ctx context.Context, items []store.Item) error {
	if q.Fault == "keeps what is given back" {
		return nil
	}
	return q.Queue.Release(ctx, items)
}

// Delivered removes items.
func (q FaultyQueue) Delivered(ctx context.Context, items []store.Item) error {
	if q.Fault == "forgets what is delivered" {
		return q.Queue.Release(ctx, items)
	}
	return q.Queue.Delivered(ctx, items)
}

// Waiting counts events.
func (q FaultyQueue) Waiting() int64 {
	n := q.Queue.Waiting()
	if q.Fault == "counts items" && n > 1 {
		return 1
	}
	return n
}

// Refused takes items apart.
func (q FaultyQueue) Refused(ctx context.Context, items []store.Item) error {
	switch {
	case q.Fault == "loses what is refused":
		return q.Queue.Delivered(ctx, items)
	case q.Fault == "never dies" && items[0].Lone:
		return q.Release(ctx, items)
	}
	return q.Queue.Refused(ctx, items)
}

// Postpone delays an event.
func (q FaultyQueue) Postpone(ctx context.Context, item store.Item, due time.Time) error {
	switch q.Fault {
	case "does not wait":
		due = time.Time{}
	case "takes nothing apart":
		item.Events = 1
	}
	return q.Queue.Postpone(ctx, item, due)
}

// DeadOf lists dead letters.
func (q FaultyQueue) DeadOf(
	ctx context.Context, scope tenancy.Scope, limit int,
) ([]store.DeadRow, error) {
	if q.Fault == "lists without a scope" && scope.Check() != nil {
		return nil, nil
	}
	return q.Queue.DeadOf(ctx, scope, limit)
}

// Replay brings dead letters back.
func (q FaultyQueue) Replay(ctx context.Context, scope tenancy.Scope) (int64, error) {
	if q.Fault == "replays nothing" {
		return 0, scope.Check()
	}
	return q.Queue.Replay(ctx, scope)
}

// Enqueue keeps events.
func (q FaultyQueue) Enqueue(ctx context.Context, received []event.Received) error {
	if q.Fault == "loses a request's tail" {
		received = received[:1]
	}
	err := q.Queue.Enqueue(ctx, received)
	if q.Fault == "accepts after closing" && errors.Is(err, store.ErrClosed) ||
		q.Fault == "sees no conflict" && errors.Is(err, store.ErrEventID) {
		return nil
	}
	return err
}

// Ready keeps something.
func (q FaultyQueue) Ready(ctx context.Context) error {
	if q.Fault == "is always ready" {
		return nil
	}
	return q.Queue.Ready(ctx)
}
