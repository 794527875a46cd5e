package main_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// kills is how often the loop kills the server: 5, or SALLYPORT_KILLS.
func kills(t *testing.T) int {
	t.Helper()
	text := os.Getenv("SALLYPORT_KILLS")
	if text == "" {
		return 5
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, "SALLYPORT_KILLS")
	return n
}

// sender posts events with labels of their own and remembers which of them
// were acknowledged.
type sender struct {
	next  atomic.Int64
	mu    sync.Mutex
	acked map[string]bool
}

func (s *sender) run(ctx context.Context, p *process, site string) {
	for ctx.Err() == nil {
		label := fmt.Sprintf("event-%d", s.next.Add(1))
		body := fmt.Sprintf(`{"s":%q,"u":"https://shop.example/","ec":"interaction","ea":"view",`+
			`"el":%q,"consent_scopes":["analytics"]}`, site, label)
		res, err := p.post(ctx, "/api/sync", p.DemoURL, body)
		if err != nil {
			continue // killed: whether it was stored is not known, and not claimed
		}
		_, err = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if err == nil && res.StatusCode == http.StatusAccepted {
			s.mu.Lock()
			s.acked[label] = true
			s.mu.Unlock()
		}
	}
}

// load runs n senders until the returned function is called.
func (s *sender) load(t testing.TB, p *process, n int) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	site := p.demo().Site.ID
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() { s.run(ctx, p, site) })
	}
	return func() { cancel(); wg.Wait() }
}

func (s *sender) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.acked)
}

// labels reads what still waits, and then what is stored, and how often. In
// this order: what is on its way between the two reads is counted as waiting.
func labels(t testing.TB, dir string) (stored map[string]int, waiting int) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "sallyport.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	require.NoError(t, db.QueryRowContext(t.Context(), `SELECT count(*) FROM queue`).Scan(&waiting))
	rows, err := db.QueryContext(t.Context(), `SELECT label, count(*) FROM events GROUP BY label`)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	stored = map[string]int{}
	for rows.Next() {
		var label string
		var n int
		require.NoError(t, rows.Scan(&label, &n))
		stored[label] = n
	}
	require.NoError(t, rows.Err())
	return stored, waiting
}

// drained waits until the queue of a running server is empty.
func drained(t testing.TB, dir string) map[string]int {
	t.Helper()
	var stored map[string]int
	require.Eventually(t, func() bool {
		var waiting int
		stored, waiting = labels(t, dir)
		return waiting == 0
	}, time.Minute, 50*time.Millisecond, "the queue does not drain")
	return stored
}

func requireExactlyOnce(t testing.TB, s *sender, stored map[string]int) {
	t.Helper()
	lost, twice := 0, 0
	for label := range s.acked {
		if stored[label] == 0 {
			lost++
		}
	}
	for _, n := range stored {
		if n > 1 {
			twice++
		}
	}
	require.Zero(t, lost, "acknowledged and lost, of %d", len(s.acked))
	require.Zero(t, twice, "stored twice, of %d", len(stored))
}

// TestKillLoop kills the server in the middle of the load, again and again.
// A killed process keeps the operating system's page cache, so this proves the
// order of acknowledging and storing, and not fsync: that the connection syncs
// is checked beside the store.
func TestKillLoop(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := &sender{acked: map[string]bool{}}
	rounds := kills(t)
	for range rounds {
		before := s.count()
		p := start(t, dir)
		stop := s.load(t, p, 16)
		require.Eventually(t, func() bool { return s.count() > before+20 }, time.Minute, time.Millisecond,
			"the server acknowledges nothing")
		killAt := s.count() + rand.IntN(400)
		require.Eventually(t, func() bool { return s.count() >= killAt }, time.Minute, time.Millisecond)
		p.kill()
		stop()
	}
	p := start(t, dir)
	stored := drained(t, dir)
	p.stop()
	requireExactlyOnce(t, s, stored)
	t.Logf("%d kills, %d acknowledged, %d stored", rounds, len(s.acked), len(stored))
}

func TestGracefulStopLosesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := &sender{acked: map[string]bool{}}
	for range 3 {
		before := s.count()
		p := start(t, dir)
		stop := s.load(t, p, 16)
		require.Eventually(t, func() bool { return s.count() > before+200 }, time.Minute, time.Millisecond)
		p.stop()
		stop()
	}
	p := start(t, dir)
	stored := drained(t, dir)
	p.stop()
	requireExactlyOnce(t, s, stored)
}
