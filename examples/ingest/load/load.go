// Package load plays what trackers and attackers send to the reference server, and
// holds the server to what it answered: every event that was acknowledged has to be
// stored, once.
//
// It sends to this machine alone, from as many addresses of 127.0.0.0/8 as it has
// clients, and stops at its bounds. Each client sends the next request when the last
// one is answered, so that a slow server is asked less; latencies are those of
// requests, and say nothing of a queue in front of the server.
package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Bounds of a run.
const (
	maxClients  = 1000
	maxBatch    = 100
	maxDuration = time.Hour
	maxEvents   = 1 << 28
)

// Config says what to send, and where.
type Config struct {
	URL    string // of the server, on this machine
	Site   string // 32 hex digits
	Secret string // of the site; signs call events
	Origin string // of a page of the site

	Clients  int           // at once, up to 1,000
	Batch    int           // events per request, up to 100
	Duration time.Duration // up to an hour
	// First is the number of the first event: runs beside each other need numbers
	// that are far apart.
	First int64
	// Hostile makes of 100 requests 30 replays of signed ones, 20 guesses at a
	// password, 10 wrong signatures, 20 signed calls, and 20 batches. Otherwise all
	// are batches, but for one call in a hundred.
	Hostile bool
	// NoCalls leaves out that call.
	NoCalls bool
	// Doubles is how many of 100 batches are sent twice at once, as a page does
	// that closes, and how many again seconds later.
	Doubles int
}

// Run sends until the duration is over or ctx ends.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	host, err := cfg.check()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Duration)
	defer cancel()
	r := &run{Config: cfg, host: host, ledger: &Ledger{from: cfg.First}}
	r.next.Store(cfg.First)
	clients := make([]*client, cfg.Clients)
	began := time.Now()
	var all sync.WaitGroup
	for i := range clients {
		clients[i] = newClient(r, i)
		all.Go(func() { clients[i].play(ctx) })
	}
	all.Wait()
	report := &Report{
		Took: time.Since(began), Latency: newHistogram(), Ledger: r.ledger,
		Answers: map[string]int{},
	}
	for _, c := range clients {
		report.Latency.Merge(c.latency)
		for answer, n := range c.answers {
			report.Answers[answer] += n
		}
	}
	return report, nil
}

func (cfg *Config) check() (host netip.AddrPort, err error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return host, errors.New("load: want the URL of a server on this machine")
	}
	host, err = netip.ParseAddrPort(u.Host)
	switch {
	case err != nil || u.Scheme != "http" || !host.Addr().IsLoopback():
		return host, errors.New("load: want http:// and a loopback address with its port")
	case cfg.Clients < 1 || cfg.Clients > maxClients:
		return host, fmt.Errorf("load: want 1 to %d clients", maxClients)
	case cfg.Batch < 1 || cfg.Batch > maxBatch:
		return host, fmt.Errorf("load: want 1 to %d events per request", maxBatch)
	case cfg.First < 0 || cfg.First > maxEvents/2:
		return host, fmt.Errorf("load: want a First of at most %d", maxEvents/2)
	case cfg.Duration <= 0 || cfg.Duration > maxDuration:
		return host, fmt.Errorf("load: want a duration of at most %v", maxDuration)
	}
	return host, nil
}

// run is what the clients share.
type run struct {
	Config
	host   netip.AddrPort
	next   atomic.Int64 // the number of the next event or call
	ledger *Ledger
}

// Report is what was seen from outside.
type Report struct {
	Took    time.Duration
	Latency *hdrhistogram.Histogram // of acknowledged batches, in microseconds
	Answers map[string]int          // by kind and status, such as "batch 202"
	Ledger  *Ledger
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, time.Minute.Microseconds(), 3)
}

// Quantile is the latency below which so many per cent of the acknowledged batches
// stayed.
func (r *Report) Quantile(percent float64) time.Duration {
	return time.Duration(r.Latency.ValueAtQuantile(percent)) * time.Microsecond
}

// Unexpected are the answers that the contract does not have, by kind and status.
// Refusals of what comes too fast belong to it.
func (r *Report) Unexpected() map[string]int {
	unexpected := map[string]int{}
	for answer, n := range r.Answers {
		if !expected[answer] {
			unexpected[answer] = n
		}
	}
	return unexpected
}

// expected is the contract of each kind of request. "0" is no answer: only a server
// that was killed owes none, and its test has to say so.
var expected = map[string]bool{
	"batch 202": true, "batch 429": true, "batch 503": true,
	"double 202": true, "double 429": true, "double 503": true,
	"late 202": true, "late 429": true, "late 503": true,
	"call 202": true, "call 429": true, "call 503": true,
	"replay 200": true, "replay 429": true, "replay 503": true,
	"forgery 401": true, "forgery 429": true, "forgery 503": true,
	"guess 401": true, "guess 429": true, "guess 503": true,
}

// play sends one request after the other.
func (c *client) play(ctx context.Context) {
	defer c.close()
	stop := context.AfterFunc(ctx, c.interrupt)
	defer stop()
	for ctx.Err() == nil && c.next.Load() < maxEvents {
		if c.act(ctx) {
			continue
		}
		timer := time.NewTimer(refusedPause/2 + rand.N(refusedPause)) // #nosec G404 -- jitter
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// refusedPause is how long a client waits after a refusal, on average: less than
// the tracker does, so that the server is held to its limits.
const refusedPause = 100 * time.Millisecond

// act sends what comes next, and reports whether to go on at once.
func (c *client) act(ctx context.Context) bool {
	dice := rand.IntN(100) // #nosec G404 -- a mix, not a secret
	if !c.Hostile {
		if dice == 0 && !c.NoCalls {
			return c.call(ctx)
		}
		return c.batch(ctx)
	}
	switch {
	case dice < 30:
		return c.replay(ctx)
	case dice < 50:
		return c.guess(ctx)
	case dice < 60:
		return c.forge(ctx)
	case dice < 80:
		return c.call(ctx)
	default:
		return c.batch(ctx)
	}
}
