package redislimit

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opsmantik/sallyport/internal/redisconn"
)

// maxFailures in a row open a breaker. At the default timeout that is 150 ms
// for a caller alone, and 50 ms under concurrency.
const maxFailures = 3

// probePause lies between two probes, of which each takes probeTimeout at most:
// recovery is noticed within a second. A TLS connection from 40 ms away takes a
// quarter of it.
const (
	probePause   = 250 * time.Millisecond
	probeTimeout = 700 * time.Millisecond
)

// breaker stops decisions from waiting for a server that does not answer. Only
// its one probe goroutine asks while it is open.
type breaker struct {
	out atomic.Pointer[redisconn.Outage] // nil: the server is asked

	mu       sync.Mutex
	failures int
	closed   bool // for good: the store was closed
	tag      string
	cancel   context.CancelFunc
	done     chan struct{}
}

// outage returns the error of a decision that is not sent, or nil.
func (b *breaker) outage() error {
	if out := b.out.Load(); out != nil {
		return out
	}
	return nil
}

func (b *breaker) succeed() {
	b.mu.Lock()
	b.failures = 0
	b.mu.Unlock()
}

// fail counts a failure and, when there were enough, opens the breaker and
// starts the probe. Tag is the hash tag of a key that failed, so that the probe
// asks the node that is out.
func (b *breaker) fail(s *Store, tag string, err error, count int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures += count; b.failures < maxFailures || b.out.Load() != nil || b.closed {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.tag, b.cancel, b.done = tag, cancel, make(chan struct{})
	b.out.Store(&redisconn.Outage{Cause: err})
	s.counters.outages.Add(1)
	s.changed(err)
	go b.probe(ctx, s, b.done)
}

// probe asks until the server can be written to, one question at a time.
func (b *breaker) probe(ctx context.Context, s *Store, done chan struct{}) {
	defer close(done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(probePause/2 + rand.N(probePause/2)) // #nosec G404 -- spreads load
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if b.ask(ctx, s) == nil {
			break
		}
	}
	s.conn.Refill(ctx) // decisions have no time to connect
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures = 0
	b.out.Store(nil)
	b.cancel()
	s.changed(nil)
}

// ask probes on a deadline that has room for connecting.
func (b *breaker) ask(ctx context.Context, s *Store) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return s.probe(ctx, b.tag)
}

// close ends the probe and waits for it.
func (b *breaker) close() {
	b.mu.Lock()
	b.closed = true
	cancel, done := b.cancel, b.done
	b.mu.Unlock()
	if cancel != nil {
		cancel()
		<-done
	}
}
