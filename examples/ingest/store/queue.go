package store

import (
	"context"
	"errors"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/tenancy"
)

// Bounds of the queue: past either, Enqueue refuses instead of filling the disk
// with what cannot be delivered.
const (
	MaxQueue      = 1_000_000
	MaxQueueBytes = 8 << 30
)

var (
	// ErrQueueFull is returned by Enqueue at MaxQueue rows or MaxQueueBytes.
	ErrQueueFull = errors.New("store: queue full")
	// ErrEventID is returned by Enqueue for a call whose event id was accepted
	// before, with another identity. A queue may leave that to the store, which
	// counts it among Stored.Conflicts.
	ErrEventID = errors.New("store: event id used for another call")
)

// Queue holds accepted events until the worker has stored them. All methods are safe
// for concurrent use.
//
// An item is in one of four places: among the batches, where all begin; alone,
// once a batch that held it was refused; postponed, once the worker could not
// take it alone; and dead, once it was refused alone.
type Queue interface {
	// Enqueue keeps events for delivery: all of them or, on an error, none. A
	// call that was accepted before is not kept again.
	Enqueue(ctx context.Context, received []event.Received) error
	// Next returns the oldest items to deliver as one batch, at most limit of
	// them and about maxBytes.
	Next(ctx context.Context, limit, maxBytes int) ([]Item, error)
	// NextLone returns the oldest item that has to travel alone and is due, if
	// there is one.
	NextLone(ctx context.Context) ([]Item, error)
	// Delivered removes items that the worker has stored.
	Delivered(ctx context.Context, items []Item) error
	// Refused notes that the worker will never take a batch: its items travel
	// alone from now on. Those that were alone already become dead letters.
	Refused(ctx context.Context, items []Item) error
	// Postpone lets an item travel alone, and not before due: the worker fails
	// with it again and again, and others must not wait for that to pass.
	Postpone(ctx context.Context, item Item, due time.Time) error
	// Waiting is the number of queued rows, dead letters included.
	Waiting() int64
	// Oldest is how long the oldest item that is due has waited, 0 without one.
	Oldest(ctx context.Context) (time.Duration, error)
	// Ready reports whether the queue can keep something, by keeping something.
	Ready(context.Context) error
	// Close finishes the work already accepted. Later work gets ErrClosed.
	Close() error
	DeadLetters
}

// DeadLetters are the events that the worker refuses. They are kept.
type DeadLetters interface {
	// Dead is the number of dead letters of all sites.
	Dead(ctx context.Context) (int64, error)
	// DeadOf lists a site's dead letters, oldest first.
	DeadOf(ctx context.Context, scope tenancy.Scope, limit int) ([]DeadRow, error)
	// Replay puts a site's dead letters back among the batches, and returns how
	// many there were. Who did it is recorded in the same transaction.
	Replay(ctx context.Context, scope tenancy.Scope) (int64, error)
}

// Item is one queued event on its way to the worker.
type Item struct {
	Seq     int64
	Payload []byte // an event.Received as JSON
	Lone    bool   // travels alone
}

// DeadRow is a dead letter as the API lists it.
type DeadRow struct {
	Seq    int64          `json:"seq"`
	DeadAt time.Time      `json:"dead_at"`
	Event  jsontext.Value `json:"event"`
}

// Encode returns the payloads of events, and how many bytes they are in all.
func Encode(received []event.Received) (payloads [][]byte, size int64, err error) {
	payloads = make([][]byte, len(received))
	for i := range received {
		payloads[i], err = json.Marshal(&received[i])
		if err != nil {
			// The encoder's text may quote the client.
			return nil, 0, errors.New("store: event cannot be encoded")
		}
		size += int64(len(payloads[i]))
	}
	return payloads, size, nil
}

// ReceivedAt reads from a payload when its event was received.
func ReceivedAt(payload []byte) (time.Time, error) {
	var received struct {
		At time.Time `json:"at"`
	}
	err := json.Unmarshal(payload, &received)
	return received.At, err
}
