package delivery_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/delivery"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/qstash"
)

// countedQueue is a queue of which only the numbers are known.
type countedQueue struct {
	memoryQueue
	waiting, dead atomic.Int64
}

func (q *countedQueue) Waiting() int64                      { return q.waiting.Load() }
func (q *countedQueue) Dead(context.Context) (int64, error) { return q.dead.Load(), nil }

func (q *countedQueue) Take(_ context.Context, limit, _ int) ([]store.Item, error) {
	if q.waiting.Load()-q.dead.Load() < int64(limit) {
		return nil, nil
	}
	return []store.Item{{ID: "1", Payload: []byte(`{}`), Events: limit}}, nil
}

func (q *countedQueue) Delivered(_ context.Context, items []store.Item) error {
	q.waiting.Add(-int64(store.CountEvents(items)))
	return nil
}

func counted(t *testing.T, queue store.Queue, backlog time.Duration) *delivery.Dispatcher {
	t.Helper()
	signer, err := qstash.NewSigner(qstash.SignerConfig{URL: "http://worker.test", Secret: hmacsig.Generate()})
	require.NoError(t, err)
	return delivery.New(delivery.Dispatcher{
		Queue: queue, URL: "http://worker.test", Signer: signer, Log: slog.New(slog.DiscardHandler),
		Backlog: backlog,
		Client: &http.Client{Transport: roundTrip(func(*http.Request) *http.Response {
			time.Sleep(100 * time.Millisecond) // two lanes: 10,000 a second
			return httptest.NewRecorder().Result()
		})},
	})
}

// Senders are turned away before more waits than the promised time of deliveries
// settles, and until a fifth of that is gone; what is dead waits for nobody.
func TestABacklogTurnsSendersAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := &countedQueue{}
		d := counted(t, queue, 5*time.Second)
		for _, row := range []struct {
			waiting int64
			full    bool
		}{{0, false}, {50_000, false}, {50_001, true}, {40_001, true}, {40_000, false}, {50_000, false}} {
			queue.waiting.Store(row.waiting)
			err := d.Admit(t.Context())
			require.Equal(t, row.full, d.Full(), "%d wait", row.waiting)
			if !row.full {
				require.NoError(t, err, "%d wait", row.waiting)
				continue
			}
			var overload *store.Overload
			require.ErrorAs(t, err, &overload)
			require.GreaterOrEqual(t, overload.RetryAfter, time.Second)
			require.LessOrEqual(t, overload.RetryAfter, 2*time.Second)
		}
		require.NoError(t, counted(t, queue, 0).Admit(t.Context()), "no bound but the queue's")
	})
}

// While deliveries get on, senders wait a little for them; while they do not, that
// would be in vain.
func TestSendersWaitForDeliveriesThatGetOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := &countedQueue{}
		queue.waiting.Store(30_000)
		queue.dead.Store(10_000)
		d := counted(t, queue, 5*time.Second)
		took := func() time.Duration {
			began := time.Now()
			require.NoError(t, d.Admit(t.Context()))
			return time.Since(began)
		}
		require.Zero(t, took())
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { d.Run(ctx); close(done) }()
		time.Sleep(200 * time.Millisecond)
		require.Equal(t, 200*time.Millisecond, took())
		for queue.waiting.Load() > 14_000 {
			time.Sleep(10 * time.Millisecond)
		}
		later := took()
		require.Positive(t, later)
		require.Less(t, later, 200*time.Millisecond, "less, the less there is")
		time.Sleep(2 * time.Second)
		require.Zero(t, took())
		stop()
		<-done
		require.Less(t, queue.waiting.Load(), int64(10_500), "all but the dead letters")
	})
}
