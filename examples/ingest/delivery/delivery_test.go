package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/delivery"
	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/examples/ingest/store/storetest"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/qstash"
)

const site = "0123456789abcdef0123456789abcdef"

func open(t *testing.T) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Full)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func enqueue(t *testing.T, db *sqlite.DB, n int) {
	t.Helper()
	batch := make([]event.Received, n)
	for i := range batch {
		batch[i] = event.Received{ID: fmt.Sprint(i), Site: site, At: time.Now(), Event: &event.Event{
			Site: site, URL: "https://shop.example/", Category: "c", Action: "a", Label: fmt.Sprint(i),
		}}
	}
	require.NoError(t, db.Enqueue(t.Context(), batch))
}

// dispatch runs a dispatcher against a worker until the test ends.
func dispatch(t *testing.T, db *sqlite.DB, worker http.Handler) {
	t.Helper()
	server := httptest.NewServer(worker)
	t.Cleanup(server.Close)
	secret := hmacsig.Generate()
	signer, err := qstash.NewSigner(qstash.SignerConfig{URL: server.URL, Secret: secret, MaxBodyBytes: delivery.MaxBody})
	require.NoError(t, err)
	d := delivery.New(delivery.Dispatcher{
		Queue: db, URL: server.URL, Signer: signer, Log: slog.New(slog.DiscardHandler),
	})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { d.Run(ctx); close(done) }()
	t.Cleanup(func() { stop(); <-done })
}

func requireDrained(t *testing.T, db *sqlite.DB) {
	t.Helper()
	require.Eventually(t, func() bool { return db.Waiting() == 0 }, time.Minute, 5*time.Millisecond)
}

func TestDeliveriesReachTheStore(t *testing.T) {
	t.Parallel()
	db := open(t)
	enqueue(t, db, 700) // more than one batch
	dispatch(t, db, &delivery.Worker{Events: db, Log: slog.New(slog.DiscardHandler)})
	requireDrained(t, db)
	rows, err := db.Events(t.Context(), storetest.Scope(t, "admin", site), 5000)
	require.NoError(t, err)
	require.Len(t, rows, 700)
}

func TestFailedDeliveriesAreRepeatedUntilStored(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(http.ResponseWriter){
		"refused":     func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) },
		"cut off":     func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"not a 200":   func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) },
		"a redirect":  func(w http.ResponseWriter) { w.WriteHeader(http.StatusFound) },
		"unavailable": func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			enqueue(t, db, 3)
			worker := &delivery.Worker{Events: db, Log: slog.New(slog.DiscardHandler)}
			var calls atomic.Int32
			dispatch(t, db, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if calls.Add(1) == 1 {
					fail(w)
					return
				}
				worker.ServeHTTP(w, r)
			}))
			requireDrained(t, db)
			rows, err := db.Events(t.Context(), storetest.Scope(t, "admin", site), 10)
			require.NoError(t, err)
			require.Len(t, rows, 3)
		})
	}
}

// The worker stores, and its answer is lost: the next delivery finds it all
// there.
func TestStoredTwiceIsStoredOnce(t *testing.T) {
	t.Parallel()
	db := open(t)
	enqueue(t, db, 5)
	worker := &delivery.Worker{Events: db, Log: slog.New(slog.DiscardHandler)}
	var once sync.Once
	dispatch(t, db, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		worker.ServeHTTP(discard{http.Header{}}, r)
		lost := false
		once.Do(func() { lost = true })
		if lost {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusOK)
	}))
	requireDrained(t, db)
	rows, err := db.Events(t.Context(), storetest.Scope(t, "admin", site), 10)
	require.NoError(t, err)
	require.Len(t, rows, 5)
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func TestOneBadItemDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	db := open(t)
	enqueue(t, db, 4)
	worker := &delivery.Worker{Events: db, Log: slog.New(slog.DiscardHandler)}
	dispatch(t, db, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || strings.Contains(string(body), `"el":"2"`) {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		worker.ServeHTTP(w, r)
	}))
	require.Eventually(t, func() bool {
		dead, err := db.Dead(t.Context())
		return err == nil && dead == 1 && db.Waiting() == 1
	}, time.Minute, 5*time.Millisecond, "the bad item becomes a dead letter")
	rows, err := db.Events(t.Context(), storetest.Scope(t, "admin", site), 10)
	require.NoError(t, err)
	require.Len(t, rows, 3)
}

func TestWorkerRefuses(t *testing.T) {
	t.Parallel()
	db := open(t)
	worker := &delivery.Worker{Events: db, Log: slog.New(slog.DiscardHandler)}
	empty, err := json.Marshal(map[string]any{"events": []event.Received{{ID: "a", Site: site}}})
	require.NoError(t, err)
	for name, row := range map[string]struct {
		body   io.Reader
		status int
	}{
		"not JSON":         {strings.NewReader("x"), 422},
		"another shape":    {strings.NewReader(`{"events":1}`), 422},
		"an empty item":    {strings.NewReader(string(empty)), 422},
		"too large":        {strings.NewReader(strings.Repeat(" ", delivery.MaxBody+1)), 413},
		"an early end":     {io.MultiReader(strings.NewReader(`{"ev`), broken{}), 400},
		"nothing at all":   {strings.NewReader(""), 422},
		"an empty object":  {strings.NewReader("{}"), 422},
		"null":             {strings.NewReader("null"), 422},
		"null for events":  {strings.NewReader(`{"events":null}`), 422},
		"another spelling": {strings.NewReader(`{"Events":[]}`), 422},
		"an event alone":   {strings.NewReader(`{"id":"a","site":"` + site + `","event":{}}`), 422},
		"an unknown field": {strings.NewReader(`{"events":[],"later":1}`), 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			worker.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", row.body))
			require.Equal(t, row.status, w.Code, w.Body)
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

// What may pass is never given up, and kills nothing: not even a batch that
// happens to hold one item.
func TestPassingFailuresMakeNoDeadLetters(t *testing.T) {
	t.Parallel()
	for _, status := range []int{500, 502, 503, 504, 507, 408, 429} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			db := open(t)
			enqueue(t, db, 1)
			worker := &delivery.Worker{Events: db, Log: slog.New(slog.DiscardHandler)}
			var calls atomic.Int32
			dispatch(t, db, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if calls.Add(1) <= 3 {
					w.WriteHeader(status)
					return
				}
				worker.ServeHTTP(w, r)
			}))
			requireDrained(t, db)
			dead, err := db.Dead(t.Context())
			require.NoError(t, err)
			require.Zero(t, dead)
			require.EqualValues(t, 4, calls.Load())
		})
	}
}

// Every other 4xx is the worker's word that trying again will not help.
func TestRefusalsMakeDeadLetters(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 403, 413, 415, 422} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			db := open(t)
			enqueue(t, db, 1)
			var calls atomic.Int32
			dispatch(t, db, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				calls.Add(1)
				w.WriteHeader(status)
			}))
			require.Eventually(t, func() bool {
				dead, err := db.Dead(t.Context())
				return err == nil && dead == 1
			}, time.Minute, 5*time.Millisecond)
			require.EqualValues(t, 2, calls.Load(), "once in a batch, and once alone")
		})
	}
}

// An item at which the worker fails with every try delays itself and no other.
func TestAnItemThatBreaksTheWorkerDelaysNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := &memoryQueue{held: map[string]bool{}, due: map[string]time.Time{}}
		for i := range 40 {
			queue.items = append(queue.items, store.Item{
				ID: fmt.Sprint(i), Payload: fmt.Appendf(nil, `{"n":%d}`, i), Events: 1,
			})
		}
		worker := func(r *http.Request) *http.Response {
			body, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			w := httptest.NewRecorder()
			if strings.Contains(string(body), `{"n":7}`) {
				w.WriteHeader(http.StatusInternalServerError)
			}
			return w.Result()
		}
		signer, err := qstash.NewSigner(qstash.SignerConfig{URL: "http://worker.test", Secret: hmacsig.Generate()})
		require.NoError(t, err)
		d := delivery.New(delivery.Dispatcher{
			Queue: queue, URL: "http://worker.test", Signer: signer, Log: slog.New(slog.DiscardHandler),
			Client: &http.Client{Transport: roundTrip(worker)},
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { d.Run(ctx); close(done) }()
		time.Sleep(3 * time.Minute)
		stop()
		<-done
		require.Len(t, queue.items, 1)
		require.Equal(t, "7", queue.items[0].ID)
		require.Zero(t, queue.refused)
	})
}

type roundTrip func(*http.Request) *http.Response

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

// memoryQueue is a queue without a file, for time that a test moves.
type memoryQueue struct {
	store.Queue
	mu      sync.Mutex
	items   []store.Item
	held    map[string]bool
	due     map[string]time.Time
	refused int
}

func (q *memoryQueue) pick(lone bool, limit int) (items []store.Item, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, item := range q.items {
		due, postponed := q.due[item.ID]
		item.Lone = postponed
		if len(items) < limit && postponed == lone && !q.held[item.ID] && !due.After(time.Now()) {
			items = append(items, item)
			q.held[item.ID] = true
		}
	}
	return items, nil
}

func (q *memoryQueue) Take(_ context.Context, limit, _ int) ([]store.Item, error) {
	return q.pick(false, limit)
}

func (q *memoryQueue) TakeLone(context.Context) ([]store.Item, error) { return q.pick(true, 1) }

func (q *memoryQueue) Release(_ context.Context, items []store.Item) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, item := range items {
		delete(q.held, item.ID)
	}
	return nil
}

func (q *memoryQueue) Delivered(_ context.Context, items []store.Item) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items = slices.DeleteFunc(q.items, func(i store.Item) bool {
		return slices.ContainsFunc(items, func(o store.Item) bool { return o.ID == i.ID })
	})
	return nil
}

func (q *memoryQueue) Refused(context.Context, []store.Item) error { q.refused++; return nil }

func (q *memoryQueue) Postpone(ctx context.Context, item store.Item, due time.Time) error {
	q.mu.Lock()
	q.due[item.ID] = due
	q.mu.Unlock()
	return q.Release(ctx, []store.Item{item})
}

func (q *memoryQueue) Dead(context.Context) (int64, error) { return 0, nil }
