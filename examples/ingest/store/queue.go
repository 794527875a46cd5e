package store

import (
	"context"
	"errors"

	"github.com/go-json-experiment/json"

	"github.com/opsmantik/sallyport/examples/ingest/event"
)

// Bounds of the queue: past either, Enqueue refuses instead of filling the disk
// with what cannot be delivered.
const (
	MaxQueue      = 1_000_000
	MaxQueueBytes = 8 << 30
)

// ErrQueueFull is returned by Enqueue at MaxQueue rows or MaxQueueBytes.
var ErrQueueFull = errors.New("store: queue full")

// Queue holds accepted events until the worker has stored them.
type Queue interface {
	// Enqueue keeps events for delivery.
	Enqueue(ctx context.Context, received []event.Received) error
	// Next returns the oldest items to deliver as one batch, at most limit of
	// them and about maxBytes.
	Next(ctx context.Context, limit, maxBytes int) ([]Item, error)
	// NextLone returns the oldest item that has to travel alone, if there is one.
	NextLone(ctx context.Context) ([]Item, error)
	// Delivered removes items that the worker has stored.
	Delivered(ctx context.Context, items []Item) error
	// Refused notes that the worker will not take a batch: its items travel
	// alone from now on. An item that was alone already becomes a dead letter.
	Refused(ctx context.Context, items []Item) error
	// Waiting is the number of queued rows, dead letters included.
	Waiting() int64
	// Dead is the number of dead letters.
	Dead(ctx context.Context) (int64, error)
}

// Item is one queued event on its way to the worker.
type Item struct {
	Seq     int64
	Payload []byte // an event.Received as JSON
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
