package main_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/load"
)

// soak is how long a run of load takes: seconds by default, and as long as a claim
// about throughput needs with SALLYPORT_SOAK=1. LOAD_SECONDS overrides both.
func soak(t testing.TB, short, long time.Duration) time.Duration {
	t.Helper()
	if text := os.Getenv("LOAD_SECONDS"); text != "" {
		seconds, err := strconv.Atoi(text)
		require.NoError(t, err, "LOAD_SECONDS")
		return time.Duration(seconds) * time.Second
	}
	if os.Getenv("SALLYPORT_SOAK") == "1" {
		return long
	}
	return short
}

// outcome is what a run of load did to a server.
type outcome struct {
	*load.Report
	backlog    int           // events that were not settled when the load ended
	drained    time.Duration // until they were
	memory     int           // resident, in MiB, at the end of the load
	goroutines [2]int        // a third into the load, and at its end
	lost       int
	twice      int
}

// underLoad loads a demo server and reads from its files what became of it all.
func underLoad(t testing.TB, dir string, p *process, cfg load.Config) outcome {
	t.Helper()
	demo := p.demo()
	cfg.URL, cfg.Origin, cfg.Site, cfg.Secret = p.URL, p.DemoURL, demo.Site.ID, demo.Site.Secret
	var seen outcome
	early := time.AfterFunc(cfg.Duration/3, func() { seen.goroutines[0] = p.gauge("go_goroutines") })
	defer early.Stop()
	report, err := load.Run(t.Context(), cfg)
	require.NoError(t, err)
	seen.Report = report
	ended := time.Now()
	seen.backlog = p.gauge("sallyport_queue_rows")
	seen.memory, seen.goroutines[1] = p.resident(), p.gauge("go_goroutines")
	require.Eventually(t, func() bool { return p.gauge("sallyport_queue_rows") == 0 },
		2*time.Minute, 20*time.Millisecond, "the backlog of %d does not drain", seen.backlog)
	seen.drained = time.Since(ended)
	p.stop()
	seen.lost, seen.twice = reconcile(t, dir, report.Ledger)
	return seen
}

// reconcile tells the ledger of everything that is stored.
func reconcile(t testing.TB, dir string, ledger *load.Ledger) (lost, twice int) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "sallyport.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	rows, err := db.QueryContext(t.Context(),
		`SELECT label FROM events UNION ALL SELECT event_id FROM calls`)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	var name sql.RawBytes
	for rows.Next() {
		require.NoError(t, rows.Scan(&name))
		ledger.Found(string(name))
	}
	require.NoError(t, rows.Err())
	return ledger.Settle()
}

// gauge reads one number from /metrics, or -1.
func (p *process) gauge(name string) int {
	res, err := http.Get(p.URL + "/metrics")
	if err != nil {
		return -1
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return -1
	}
	m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(text)
	if m == nil {
		return -1
	}
	n, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		return -1
	}
	return int(n)
}

// resident is the memory of the process, in MiB.
func (p *process) resident() int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0 // another system
	}
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	kib, _, _ := strings.Cut(strings.TrimSpace(string(rest)), " ")
	n, _ := strconv.Atoi(kib)
	return n >> 10
}

func (o outcome) log(t testing.TB) {
	t.Helper()
	seconds := o.Took.Seconds()
	acknowledged := o.Ledger.Acknowledged()
	t.Logf("%.0f s: %.0f acknowledged/s, %.0f settled/s, backlog %d drained in %v; p50 %v p99 %v; "+
		"%d MiB, %v goroutines; %v", seconds, float64(acknowledged)/seconds,
		float64(acknowledged-o.backlog)/seconds, o.backlog, o.drained.Round(time.Millisecond),
		o.Quantile(50), o.Quantile(99), o.memory, o.goroutines, o.Answers)
}

func (o outcome) requireExactlyOnce(t testing.TB) {
	t.Helper()
	require.Positive(t, o.Ledger.Acknowledged())
	require.Zero(t, o.lost, "acknowledged and lost, of %d", o.Ledger.Acknowledged())
	require.Zero(t, o.twice, "stored twice, of %d", o.Ledger.Acknowledged())
	require.Empty(t, o.Unexpected())
}

// TestLoad keeps a server busy as its trackers do, in batches.
func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := underLoad(t, dir, start(t, dir), load.Config{
		Clients: 64, Batch: 20, Doubles: 5, Duration: soak(t, time.Second, time.Minute),
	})
	o.log(t)
	o.requireExactlyOnce(t)
	require.Less(t, o.drained, 5*time.Second, "a restart at the end would drain no faster")
	require.Less(t, o.memory, 300)
}

// TestHostileLoad: of 100 requests, 60 are replays, guesses and forgeries. The long run
// is ten minutes, after which memory and goroutines are what they were.
func TestHostileLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := underLoad(t, dir, start(t, dir), load.Config{
		Clients: 32, Batch: 20, Doubles: 5, Hostile: true,
		Duration: soak(t, 2*time.Second, 10*time.Minute),
	})
	o.log(t)
	o.requireExactlyOnce(t)
	require.InDelta(t, o.goroutines[0], o.goroutines[1], 200, "goroutines")
	require.Less(t, o.memory, 500, "four passwords are checked at once, in 64 MiB each")
	require.Positive(t, o.Answers["replay 200"])
	require.Positive(t, o.Answers["forgery 401"])
}
