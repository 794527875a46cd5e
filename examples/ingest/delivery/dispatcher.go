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

	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
	"github.com/opsmantik/sallyport/hmacsig"
)

const (
	batchItems    = 500
	batchBytes    = MaxBody / 2
	maxAttempts   = 60 // about two hours
	firstBackoff  = 500 * time.Millisecond
	longestPause  = 2 * time.Minute
	pollInterval  = time.Second
	deliveryLimit = 30 * time.Second
)

// errRefused is the worker's word that trying again will not help.
var errRefused = errors.New("delivery: worker refused the batch")

// Dispatcher takes due items from the queue, signs a batch and posts it to
// the worker until it is stored, backing off with jitter. An item that failed
// before travels alone, so that one bad item cannot hold up its neighbours.
// When the worker refuses it then, or after maxAttempts, it becomes a dead
// letter.
type Dispatcher struct {
	DB     *sqlite.DB
	URL    string // the worker
	Signer *hmacsig.Signer
	Client *http.Client // nil means one that follows no redirect
	Log    *slog.Logger

	wake chan struct{}
}

// New completes a dispatcher.
func New(d Dispatcher) *Dispatcher {
	if d.Client == nil {
		d.Client = &http.Client{CheckRedirect: noRedirect}
	}
	d.wake = make(chan struct{}, 1)
	return &d
}

// noRedirect keeps a signed batch from being sent anywhere but to the worker.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Wake says that the queue has grown. It never blocks.
func (d *Dispatcher) Wake() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Run delivers until ctx ends. A delivery under way is finished first.
func (d *Dispatcher) Run(ctx context.Context) {
	failures := 0
	for {
		sent, err := d.deliver(ctx)
		pause := pollInterval
		switch {
		case err != nil:
			d.Log.WarnContext(ctx, "delivery failed", "error", err, "failures", failures+1)
			pause = backoff(failures)
			failures++
		case sent > 0:
			failures, pause = 0, 0
		}
		if !d.sleep(ctx, pause, err != nil) {
			return
		}
	}
}

// sleep waits for pause, or for Wake unless the wait is a back-off. It reports
// whether to go on.
func (d *Dispatcher) sleep(ctx context.Context, pause time.Duration, backingOff bool) bool {
	if pause == 0 {
		return ctx.Err() == nil
	}
	wake := d.wake
	if backingOff {
		wake = nil
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

// deliver sends one batch and returns how many items it held.
func (d *Dispatcher) deliver(ctx context.Context) (int, error) {
	// A delivery is not cut off by shutdown: it has a deadline of its own.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deliveryLimit)
	defer cancel()
	due, err := d.DB.Due(ctx, time.Now(), batchItems)
	if err != nil || len(due) == 0 {
		return 0, err
	}
	items := firstBatch(due)
	if err := d.post(ctx, items); err != nil {
		return 0, errors.Join(err, d.requeue(ctx, items, errors.Is(err, errRefused)))
	}
	return len(items), d.DB.Delivered(ctx, items)
}

// firstBatch cuts the due items to one batch: bounded in bytes, and a single
// item when it has failed before.
func firstBatch(due []sqlite.Item) []sqlite.Item {
	size := 0
	for i, item := range due {
		size += len(item.Payload) + 1
		if i > 0 && (size > batchBytes || item.Attempts > 0) {
			return due[:i]
		}
		if item.Attempts > 0 {
			return due[:1]
		}
	}
	return due
}

// requeue sets the next try. An item that was refused when it travelled alone
// is at fault itself; any other failure may be the worker's.
func (d *Dispatcher) requeue(ctx context.Context, items []sqlite.Item, refused bool) error {
	alone := len(items) == 1
	if alone && (refused || items[0].Attempts+1 >= maxAttempts) {
		return d.DB.Bury(ctx, items)
	}
	return d.DB.Failed(ctx, items, time.Now().Add(backoff(items[0].Attempts)))
}

func (d *Dispatcher) post(ctx context.Context, items []sqlite.Item) error {
	payloads := make([]jsontext.Value, len(items))
	for i, item := range items {
		payloads[i] = item.Payload
	}
	body, err := json.Marshal(map[string][]jsontext.Value{"events": payloads})
	if err != nil {
		return fmt.Errorf("delivery: encode: %w", err)
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
	switch res.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return fmt.Errorf("%w: %s", errRefused, res.Status)
	default:
		return fmt.Errorf("delivery: worker answered %s", res.Status)
	}
}
