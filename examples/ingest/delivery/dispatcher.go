package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/opsmantik/sallyport/examples/ingest/store"
)

const (
	batchItems    = 500
	batchBytes    = MaxBody / 2
	firstBackoff  = 500 * time.Millisecond
	longestPause  = time.Minute
	pollInterval  = time.Second
	deliveryLimit = 30 * time.Second
	// pace lets a small batch be followed by a larger one.
	pace = 20 * time.Millisecond
	// splitAfter failures in a row, batches get smaller: one of their items may
	// be what the worker fails at.
	splitAfter = 4
)

var (
	// errRefused is the worker's word that trying again will not help.
	errRefused = errors.New("delivery: worker refused the batch")
	// errFailed means that the worker is there, and failed.
	errFailed = errors.New("delivery: worker failed")
)

// Dispatcher takes items from the queue, signs a batch and posts it to the
// worker until it is stored.
//
// What may pass is tried again for as long as it takes, with growing pauses and
// jitter: no answer, any 5xx, 408 and 429. If the worker answers and still fails
// with every try, batches get smaller, down to one item; that one is postponed,
// so that an item at which the worker fails delays itself and no other.
//
// A batch that the worker refuses as wrong, with another 4xx, is taken apart: each
// of its items then travels alone, one after every batch, and becomes a dead
// letter if it is refused even so.
type Dispatcher struct {
	Queue  store.Queue
	URL    string // the worker
	Signer interface{ Sign(*http.Request) error }
	Client *http.Client // nil means one for this machine: no proxy, no redirect
	Log    *slog.Logger

	wake     chan struct{}
	lone     bool // whose turn it is
	size     int  // of the next batch, in items
	failures int  // in a row
}

// New completes a dispatcher.
func New(d Dispatcher) *Dispatcher {
	if d.Client == nil {
		// Events go to the worker and nowhere else, whatever the environment
		// says of proxies.
		d.Client = &http.Client{
			Transport:     &http.Transport{Proxy: nil, IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	d.wake, d.size = make(chan struct{}, 1), batchItems
	return &d
}

// Wake says that the queue has grown. It never blocks.
func (d *Dispatcher) Wake() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Run delivers until ctx ends. A delivery under way is finished first.
func (d *Dispatcher) Run(ctx context.Context) {
	for {
		sent, err := d.deliver(ctx)
		d.adapt(err)
		pause, wake := pollInterval, d.wake
		switch {
		case err != nil:
			pause, wake = backoff(d.failures-1), nil
			d.Log.WarnContext(ctx, "delivery failed", "error", err, "failures", d.failures, "pause", pause)
		case sent >= d.size:
			pause = 0
		case sent > 0:
			pause, wake = pace, nil
		}
		if !sleep(ctx, pause, wake) {
			return
		}
	}
}

// adapt counts failures and sizes the next batch.
func (d *Dispatcher) adapt(err error) {
	if err == nil {
		d.failures, d.size = 0, min(2*d.size, batchItems)
		return
	}
	d.failures++
	if errors.Is(err, errFailed) && d.failures >= splitAfter {
		d.size = max(1, d.size/2)
		// It answers, so it is not overwhelmed: look on without longer pauses.
		d.failures = splitAfter
	}
}

// sleep waits for pause or for wake, and reports whether to go on.
func sleep(ctx context.Context, pause time.Duration, wake <-chan struct{}) bool {
	if pause == 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-wake:
	}
	return true
}

// backoff doubles from firstBackoff and is spread over its upper half, so that
// several servers do not retry in step.
func backoff(failures int) time.Duration {
	limit := min(firstBackoff<<min(failures, 16), longestPause)
	return limit/2 + rand.N(limit/2) // #nosec G404 -- jitter, not a secret
}

// deliver settles one batch and returns how many items it held.
func (d *Dispatcher) deliver(ctx context.Context) (int, error) {
	// A delivery is not cut off by shutdown: it has a deadline of its own.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deliveryLimit)
	defer cancel()
	items, err := d.next(ctx)
	if err != nil || len(items) == 0 {
		return 0, err
	}
	return d.settle(ctx, items, d.post(ctx, items))
}

// settle tells the queue what became of a batch.
func (d *Dispatcher) settle(ctx context.Context, items []store.Item, err error) (int, error) {
	alone := items[0].Lone || d.size == 1
	switch {
	case err == nil:
		return len(items), d.Queue.Delivered(ctx, items)
	case errors.Is(err, errRefused):
		if items[0].Lone {
			d.Log.ErrorContext(ctx, "dead letter: the worker refuses an event", "queue_seq", items[0].Seq)
		}
		return len(items), d.Queue.Refused(ctx, items)
	case alone && errors.Is(err, errFailed):
		due := time.Now().Add(longestPause/2 + rand.N(longestPause/2)) // #nosec G404 -- jitter
		return 0, errors.Join(err, d.Queue.Postpone(ctx, items[0], due))
	default:
		return 0, err
	}
}

// next takes turns between batches and items that travel alone, so that neither
// waits for the end of the other.
func (d *Dispatcher) next(ctx context.Context) (items []store.Item, err error) {
	for range 2 {
		d.lone = !d.lone
		if d.lone {
			items, err = d.Queue.NextLone(ctx)
		} else {
			items, err = d.Queue.Next(ctx, d.size, batchBytes)
		}
		if err != nil || len(items) > 0 {
			return items, err
		}
	}
	return nil, nil
}

func (d *Dispatcher) post(ctx context.Context, items []store.Item) error {
	payloads := make([]jsontext.Value, len(items))
	for i, item := range items {
		payloads[i] = item.Payload
	}
	body, err := json.Marshal(map[string][]jsontext.Value{"events": payloads})
	if err != nil {
		// Whatever is in the queue, it is no event. The text of the error may
		// quote it.
		return fmt.Errorf("%w: it cannot be encoded", errRefused)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("delivery: request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if err := d.Signer.Sign(req); err != nil {
		return fmt.Errorf("delivery: sign: %w", err)
	}
	res, err := d.Client.Do(req)
	if err != nil {
		return fmt.Errorf("delivery: post: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	// Drained so that the connection is used again; bounded, it is our own.
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10)
	return verdict(res.StatusCode)
}

// verdict tells what the worker can never store from what it cannot store now.
// Only a refusal as wrong is final; everything else may pass.
func verdict(status int) error {
	switch {
	case status == http.StatusOK:
		return nil
	case status == http.StatusRequestTimeout || status == http.StatusTooManyRequests:
		return fmt.Errorf("delivery: worker answered status %d", status)
	case status >= 400 && status < 500:
		return fmt.Errorf("%w: status %d", errRefused, status)
	case status >= 500:
		return fmt.Errorf("%w: status %d", errFailed, status)
	default:
		return fmt.Errorf("delivery: worker answered status %d", status)
	}
}
