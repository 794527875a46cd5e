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
	"sync"
	"time"

	"github.com/opsmantik/sallyport/examples/ingest/store"
)

const (
	lanes         = 2
	batchEvents   = 500
	batchBytes    = MaxBody / 2
	firstBackoff  = 500 * time.Millisecond
	longestPause  = 10 * time.Second // between tries with a worker that is out
	postponed     = time.Minute      // of an event at which it fails
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
// with every try, batches get smaller, down to one item; that one is taken apart,
// and each of its events that still fails is postponed, so that an event at which
// the worker fails delays itself and no other.
//
// A batch that the worker refuses as wrong, with another 4xx, is taken apart: each
// of its events then travels alone, one after every batch, and becomes a dead
// letter if it is refused even so.
type Dispatcher struct {
	Queue  store.Queue
	URL    string // the worker
	Signer interface{ Sign(*http.Request) error }
	Client *http.Client // nil means one for this machine: no proxy, no redirect
	Log    *slog.Logger
	// Backlog is the time in which all that waits can be settled: beyond it, Admit
	// turns senders away. 0 leaves it to the queue how much it takes.
	Backlog time.Duration

	wake chan struct{}
	flow *flow
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
	d.wake = make(chan struct{}, lanes)
	d.flow = &flow{queue: d.Queue, limit: d.Backlog, rate: firstRate}
	return &d
}

// Wake says that the queue has grown. It never blocks.
func (d *Dispatcher) Wake() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Admit says whether events may be queued now, and may take a moment for it. A
// *[store.Overload] says that they may not.
func (d *Dispatcher) Admit(ctx context.Context) error { return d.flow.admit(ctx) }

// Full reports whether Admit turns senders away.
func (d *Dispatcher) Full() bool { return d.flow.over() }

// Run delivers until ctx ends. A delivery under way is finished first.
func (d *Dispatcher) Run(ctx context.Context) {
	var all sync.WaitGroup
	for range lanes {
		all.Go(func() { (&lane{Dispatcher: d, size: batchEvents}).run(ctx) })
	}
	all.Wait()
}

// lane is one delivery at a time. While the batch of one is being stored, the
// batch of another is on its way.
type lane struct {
	*Dispatcher
	lone     bool // whose turn it is
	size     int  // of the next batch, in events
	failures int  // in a row
}

func (l *lane) run(ctx context.Context) {
	for {
		sent, err := l.deliver(ctx)
		l.adapt(err)
		pause, wake := pollInterval, l.wake
		switch {
		case err != nil:
			pause, wake = backoff(l.failures-1), nil
			l.Log.WarnContext(ctx, "delivery failed", "error", err, "failures", l.failures, "pause", pause)
		case sent >= l.size:
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
func (l *lane) adapt(err error) {
	if err == nil {
		l.failures, l.size = 0, min(2*l.size, batchEvents)
		return
	}
	l.failures++
	if errors.Is(err, errFailed) && l.failures >= splitAfter {
		l.size = max(1, l.size/2)
		// It answers, so it is not overwhelmed: look on without longer pauses.
		l.failures = splitAfter
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

// deliver settles one batch and returns how many events it held.
func (l *lane) deliver(ctx context.Context) (int, error) {
	// A delivery is not cut off by shutdown: it has a deadline of its own.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deliveryLimit)
	defer cancel()
	began := time.Now()
	items, err := l.next(ctx)
	if err != nil || len(items) == 0 {
		return 0, err
	}
	sent, err := l.settle(ctx, items, l.post(ctx, items))
	if err == nil {
		l.flow.note(sent, time.Since(began))
	}
	l.flow.count(ctx)
	return sent, err
}

// settle tells the queue what became of a batch.
func (l *lane) settle(ctx context.Context, items []store.Item, err error) (int, error) {
	sent, alone := store.CountEvents(items), items[0].Lone || l.size == 1
	switch {
	case err == nil:
		return sent, l.Queue.Delivered(ctx, items)
	case errors.Is(err, errRefused):
		if items[0].Lone {
			l.Log.ErrorContext(ctx, "dead letter: the worker refuses an event", "queue_id", items[0].ID)
		}
		return sent, l.Queue.Refused(ctx, items)
	case alone && errors.Is(err, errFailed):
		due := time.Now().Add(postponed/2 + rand.N(postponed/2)) // #nosec G404 -- jitter
		return 0, errors.Join(err, l.Queue.Postpone(ctx, items[0], due))
	default:
		return 0, errors.Join(err, l.Queue.Release(ctx, items))
	}
}

// next takes turns between batches and items that travel alone, so that neither
// waits for the end of the other.
func (l *lane) next(ctx context.Context) (items []store.Item, err error) {
	for range 2 {
		l.lone = !l.lone
		if l.lone {
			items, err = l.Queue.TakeLone(ctx)
		} else {
			items, err = l.Queue.Take(ctx, l.size, batchBytes)
		}
		if err != nil || len(items) > 0 {
			return items, err
		}
	}
	return nil, nil
}

// body is what the worker reads. Whatever is in the queue is sent as it is: the
// worker refuses what is no event.
func body(items []store.Item) []byte {
	text := []byte(`{"events":[`)
	for i, item := range items {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, item.Payload...)
	}
	return append(text, "]}"...)
}

func (d *Dispatcher) post(ctx context.Context, items []store.Item) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL, bytes.NewReader(body(items)))
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
