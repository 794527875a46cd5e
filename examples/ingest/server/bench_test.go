package server_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/load"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
)

// unlimited is a configuration whose limits no benchmark reaches.
func unlimited(b *testing.B) *rig {
	b.Helper()
	return unlimitedWith(b, sqlite.Full)
}

func unlimitedWith(b *testing.B, durability sqlite.Durability) *rig {
	b.Helper()
	s := configured(b)
	s.RatePerMinute, s.Sites[0].RatePerMinute = 1_000_000, 500_000_000
	return runWith(b, s, durability)
}

// clients sends n events over the network from 64 clients and returns how long
// that took.
func clients(b *testing.B, client *http.Client, r *rig, n int) time.Duration {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	begin := time.Now()
	for range 64 {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				req, _ := http.NewRequest(http.MethodPost, r.URL+"/api/sync", strings.NewReader(unique()))
				req.Header.Set("Origin", originA)
				res, err := client.Do(req)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if res.StatusCode != http.StatusAccepted {
					b.Errorf("got %s", res.Status)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(begin)
}

// BenchmarkSyncDurability compares /api/sync with 64 clients, synced and not,
// in alternating rounds. It fails when an acknowledged event is not stored.
func BenchmarkSyncDurability(b *testing.B) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	full, off := unlimited(b), unlimitedWith(b, sqlite.DangerouslyOff)
	const round = 500
	var synced, unsynced time.Duration
	sent := 0
	b.ResetTimer()
	for b.Loop() {
		synced += clients(b, client, full, round)
		unsynced += clients(b, client, off, round)
		sent += round
	}
	b.StopTimer()
	b.ReportMetric(float64(sent)/synced.Seconds(), "synced/s")
	b.ReportMetric(float64(sent)/unsynced.Seconds(), "unsynced/s")
	b.ReportMetric(unsynced.Seconds()/synced.Seconds(), "ratio")
	require.Equal(b, sent, full.stored("events"))
	require.Equal(b, sent, off.stored("events"))
}

// BenchmarkSingleEvents compares what 64 clients get that send one event at a time: of
// the whole server, and of a bare handler with the same parser, queue and store, in
// alternating rounds over the network. What is acknowledged is settled in both.
func BenchmarkSingleEvents(b *testing.B) {
	whole, other := unlimited(b), unlimited(b)
	bare := httptest.NewServer(other.srv.Ungated())
	defer bare.Close()
	var settled, bareSettled float64
	send := func(url string, first int64, r *rig) float64 {
		began := time.Now()
		report, err := load.Run(b.Context(), load.Config{
			URL: url, Site: siteA, Secret: secretA, Origin: originA, Clients: 64, Batch: 1,
			Duration: time.Second, First: first, NoCalls: true,
		})
		require.NoError(b, err)
		require.Empty(b, report.Unexpected())
		r.settled()
		return float64(report.Ledger.Acknowledged()) / time.Since(began).Seconds()
	}
	rounds := int64(0)
	for b.Loop() {
		settled += send(whole.URL, rounds<<20, whole)
		bareSettled += send(bare.URL, rounds<<20, other)
		rounds++
	}
	b.ReportMetric(settled/float64(rounds), "settled/s")
	b.ReportMetric(bareSettled/float64(rounds), "bare-settled/s")
	b.ReportMetric(settled/bareSettled, "ratio")
}

// BenchmarkGates compares the processor time of a request through all gates
// with the same handler and store without them, in alternating rounds.
func BenchmarkGates(b *testing.B) {
	s := configured(b)
	s.RatePerMinute, s.Sites[0].RatePerMinute = 1_000_000, 500_000_000
	db, srv := newServer(b, s, slog.New(slog.DiscardHandler), sqlite.Full)
	// Not run, so that nothing but the handlers works; ended by a Run that ends
	// at once.
	defer func() {
		ctx, stop := context.WithCancel(context.Background())
		stop()
		require.NoError(b, srv.Run(ctx))
		require.NoError(b, db.Close())
	}()

	gated, ungated := srv.Gated(), srv.Ungated()
	const round = 2000
	var with, without time.Duration
	for b.Loop() {
		with += cpu(func() { serve(b, gated, round) })
		without += cpu(func() { serve(b, ungated, round) })
	}
	b.ReportMetric(with.Seconds()/without.Seconds(), "ratio")
	b.ReportMetric(float64(with.Nanoseconds())/float64(b.N*round), "gated-ns")
	b.ReportMetric(float64(without.Nanoseconds())/float64(b.N*round), "ungated-ns")
}

func serve(b *testing.B, h http.Handler, n int) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				w := httptest.NewRecorder()
				r := httptest.NewRequest(http.MethodPost, "/api/sync", bytes.NewReader([]byte(unique())))
				r.Header.Set("Origin", originA)
				h.ServeHTTP(w, r)
				if w.Code != http.StatusAccepted {
					b.Errorf("got %d: %s", w.Code, w.Body)
					return
				}
			}
		})
	}
	wg.Wait()
}

// cpu is the processor time that this process spends in f.
func cpu(f func()) time.Duration {
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	f()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	spent := func(u *syscall.Rusage) time.Duration {
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return spent(&after) - spent(&before)
}
