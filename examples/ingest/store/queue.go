package store

import (
	"bytes"
	"context"
	"errors"
	"slices"
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
	// ErrQueueFull is returned by Enqueue at MaxQueue events or MaxQueueBytes.
	ErrQueueFull = errors.New("store: queue full")
	// ErrEventID is returned by Enqueue for a call whose event id was accepted
	// before, with another identity. A queue may leave that to the store, which
	// counts it among Stored.Conflicts.
	ErrEventID = errors.New("store: event id used for another call")
)

// Overload says that events are not taken now, because too many wait already.
type Overload struct {
	RetryAfter time.Duration // until there is room again, as far as can be told
}

func (o *Overload) Error() string { return "store: too many events wait" }

// Intake takes accepted events, and delivers them by itself.
type Intake interface {
	// Enqueue keeps events: a nil error means durable. An error may leave open
	// whether they are delivered nevertheless.
	Enqueue(ctx context.Context, received []event.Received) error
	// Ready reports whether events are taken now, as far as is known.
	Ready(context.Context) error
}

// Queue holds accepted events until the worker has stored them. All methods are safe
// for concurrent use.
//
// An item is in one of four places: among the batches, where all begin; alone,
// once a batch that held it was refused; postponed, once the worker could not
// take it alone; and dead, once it was refused alone. Among the batches an item
// is what one request brought; elsewhere it is one event.
//
// Who takes an item holds it until one of the other methods is told what became
// of it. What a program held when it ended is handed out again.
type Queue interface {
	// Enqueue keeps events for delivery, as one item: all of them or, on an error,
	// none. A call that was accepted before is not kept again.
	Enqueue(ctx context.Context, received []event.Received) error
	// Take hands out the oldest items that nobody holds, as one batch: about limit
	// events and maxBytes, and one item at least if there is one.
	Take(ctx context.Context, limit, maxBytes int) ([]Item, error)
	// TakeLone hands out the oldest item that has to travel alone and is due, if
	// there is one.
	TakeLone(ctx context.Context) ([]Item, error)
	// Release gives back what could not be delivered now.
	Release(ctx context.Context, items []Item) error
	// Delivered removes items that the worker has stored.
	Delivered(ctx context.Context, items []Item) error
	// Refused notes that the worker will never take a batch: each of its events
	// travels alone from now on. Those that were alone already become dead letters.
	Refused(ctx context.Context, items []Item) error
	// Postpone lets an event travel alone, and not before due: the worker fails
	// with it again and again, and others must not wait for that to pass. An item
	// of several events is taken apart instead.
	Postpone(ctx context.Context, item Item, due time.Time) error
	// Waiting is the number of queued events, dead letters included.
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

// Item is what the queue hands out.
type Item struct {
	ID      string // the queue's own name for it
	Payload []byte // each event.Received as JSON, with commas between them
	Events  int    // how many there are
	Lone    bool   // travels alone
}

// CountEvents is the number of events in items.
func CountEvents(items []Item) (n int) {
	for _, item := range items {
		n += item.Events
	}
	return n
}

// DeadRow is a dead letter as the API lists it.
type DeadRow struct {
	ID     string         `json:"id"`
	DeadAt time.Time      `json:"dead_at"`
	Event  jsontext.Value `json:"event"`
}

// Encode returns the payload of an item that holds these events.
func Encode(received []event.Received) ([]byte, error) {
	var payload []byte
	for i := range received {
		text, err := json.Marshal(&received[i])
		if err != nil {
			// The encoder's text may quote the client.
			return nil, errors.New("store: event cannot be encoded")
		}
		if i > 0 {
			payload = append(payload, ',')
		}
		payload = append(payload, text...)
	}
	return payload, nil
}

// Split returns the payload of each event of an item.
func Split(item Item) ([][]byte, error) {
	var values []jsontext.Value
	err := json.Unmarshal(slices.Concat([]byte{'['}, item.Payload, []byte{']'}), &values)
	if err != nil || len(values) != item.Events {
		return nil, errors.New("store: item cannot be taken apart")
	}
	payloads := make([][]byte, len(values))
	for i, value := range values {
		payloads[i] = value
	}
	return payloads, nil
}

// ReceivedAt reads from an item's payload when its first event was received.
func ReceivedAt(payload []byte) (time.Time, error) {
	var received struct {
		At time.Time `json:"at"`
	}
	err := json.UnmarshalDecode(jsontext.NewDecoder(bytes.NewReader(payload)), &received)
	return received.At, err
}
