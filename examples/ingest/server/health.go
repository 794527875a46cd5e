package server

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opsmantik/sallyport/examples/ingest/delivery"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/examples/ingest/store"
)

const (
	// probeLimit is how long the write of a probe may take.
	probeLimit = 2 * time.Second
	// probeAge is how long its outcome is told: asking costs an fsync.
	probeAge = time.Second
	// lagging is how old the oldest event that is due may be before it is worth
	// looking into.
	lagging = time.Minute
)

// healthz says that the process answers.
func healthz(w http.ResponseWriter, _ *http.Request) {
	reply.JSON(w, http.StatusOK, map[string]any{"ok": true})
}

// readiness answers GET /readyz: 503 while nothing can be stored, as with a full
// disk or a damaged file, and while events are turned away because too many wait.
// Events that wait for the worker, and dead ones, are no reason to send events
// elsewhere: they are told, and the answer is 200.
type readiness struct {
	store      store.Store
	queue      store.Queue          // nil: there is none
	intake     store.Intake         // nil: events are not delivered from elsewhere
	dispatcher *delivery.Dispatcher // of the queue
	log        *slog.Logger
	draining   *atomic.Bool // this instance is about to stop

	mu   sync.Mutex
	at   time.Time
	last state
}

// state is what a probe found.
type state struct {
	err   error // nothing can be kept
	store error // what is in the queue stays there
	lag   time.Duration
	dead  int64
}

func (rd *readiness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rd.draining.Load() {
		reply.Unavailable(w, codeDraining, "This instance is stopping")
		return
	}
	if rd.dispatcher != nil && rd.dispatcher.Full() {
		reply.Unavailable(w, reply.CodeQueueBacklog, "Too many events wait to be stored")
		return
	}
	found := rd.probe(r.Context())
	if found.err != nil {
		rd.log.ErrorContext(r.Context(), "not ready", "error", found.err)
		reply.Unavailable(w, reply.CodeStoreUnavailable, "Nothing can be stored now")
		return
	}
	warnings := []string{}
	if found.store != nil {
		rd.log.ErrorContext(r.Context(), "the store does not answer; events wait in the queue", "error", found.store)
		warnings = append(warnings, "the store does not answer")
	}
	if found.lag > lagging {
		warnings = append(warnings, "deliveries lag behind")
	}
	if found.dead > 0 {
		warnings = append(warnings, "there are dead letters")
	}
	detail := map[string]any{
		"ok": true, "queue_lag_seconds": int64(found.lag / time.Second), "dead_letters": found.dead,
	}
	if watched, ok := rd.store.(store.Watched); ok {
		oldest, tooLong := watched.OpenTransaction()
		detail["oldest_transaction_seconds"] = int64(oldest / time.Second)
		if tooLong {
			warnings = append(warnings, "a transaction stays open in the database")
		}
	}
	detail["warnings"] = warnings
	reply.JSON(w, http.StatusOK, detail)
}

// probe asks the store, at most once a second.
func (rd *readiness) probe(ctx context.Context) state {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	if time.Since(rd.at) < probeAge {
		return rd.last
	}
	// The outcome is everybody's who asks meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeLimit)
	defer cancel()
	found := rd.ask(ctx)
	rd.last, rd.at = found, time.Now()
	return found
}

// ask: what decides is whether an event that comes now can be kept. Where there is a
// queue, that is the queue's business, and the store may be away for a while.
func (rd *readiness) ask(ctx context.Context) (found state) {
	found.store = rd.store.Ready(ctx)
	if rd.intake != nil {
		found.err = rd.intake.Ready(ctx)
		return found
	}
	if rd.queue == nil {
		found.err = found.store
		return found
	}
	if found.err = rd.queue.Ready(ctx); found.err == nil {
		found.lag, found.err = rd.queue.Oldest(ctx)
	}
	if found.err == nil {
		found.dead, found.err = rd.queue.Dead(ctx)
	}
	return found
}

// codeDraining: 503. The instance serves on for a moment, and then stops.
const codeDraining = "instance_draining"
