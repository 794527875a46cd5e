//go:build linux

package main_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/load"
	"github.com/opsmantik/sallyport/examples/ingest/postgres/postgrestest"
	"github.com/opsmantik/sallyport/examples/ingest/servicetest"
)

// processorTime is what the process has used so far, and those that it has waited for.
func processorTime(pid int) time.Duration {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat")) // #nosec G304
	if err != nil {
		return 0 // it has ended, and its parent has counted it
	}
	// utime, stime, cutime and cstime are fields 14 to 17; the name is in parentheses.
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	var ticks int64
	for _, field := range fields[11:15] {
		n, _ := strconv.ParseInt(field, 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100
}

// familyTime adds those that it has started and that still run.
func familyTime(pid int) time.Duration {
	total := processorTime(pid)
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, err := os.ReadFile(path) // #nosec G304
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			total += processorTime(child)
		}
	}
	return total
}

// TestCostOfInstances measures what an event costs each part, with one, two and three
// instances: the arithmetic of docs/scale.md says that it stays the same.
func TestCostOfInstances(t *testing.T) {
	if os.Getenv("SALLYPORT_SOAK") != "1" {
		t.Skip("with SALLYPORT_SOAK=1")
	}
	for _, queue := range []string{"redis", "none"} {
		for n := 1; n <= 3; n++ {
			t.Run(queue+" "+strconv.Itoa(n), func(t *testing.T) { costOf(t, n, queue) })
		}
	}
}

func costOf(t *testing.T, n int, queue string) {
	g := postgrestest.Start(t, "fsync=on", "shared_buffers=256MB", "max_wal_size=4GB")
	database := g.Database(t)
	redis := servicetest.StartRedis(t, servicetest.Durable()...)
	env := append(scaled(t, g.Config(database)), "REDIS_URL=redis://"+redis.Addr)
	if queue == "none" {
		env = append(env, "QUEUE=none")
	}
	all := make([]*process, n)
	for i := range all {
		all[i] = start(t, t.TempDir(), env...)
	}
	spent := func() (instances, store, memory time.Duration) {
		for _, p := range all {
			instances += processorTime(p.cmd.Process.Pid)
		}
		return instances, familyTime(g.Server.Pid()), processorTime(redis.Pid())
	}
	instances, store, memory := spent()
	reports := make([]*load.Report, n)
	began := time.Now()
	var running sync.WaitGroup
	for i, p := range all {
		running.Go(func() {
			var err error
			reports[i], err = load.Run(t.Context(), load.Config{
				URL: p.URL, Site: scaledSite, Secret: scaledSecret, Origin: scaledOrigin,
				Clients: 48 / n, Batch: 20, Duration: 5 * time.Second, First: int64(i) << 24,
			})
			if err != nil {
				t.Errorf("load: %v", err)
			}
		})
	}
	running.Wait()
	if queue == "redis" {
		require.Eventually(t, func() bool { return all[0].gauge("sallyport_queue_rows") == 0 },
			2*time.Minute, 20*time.Millisecond)
	}
	took := time.Since(began)
	events := 0
	for _, report := range reports {
		events += report.Ledger.Acknowledged()
		require.Empty(t, report.Unexpected())
	}
	instances2, store2, memory2 := spent()
	each := func(d time.Duration) time.Duration { return d / time.Duration(events) }
	t.Logf("%d instances, queue %s: %.0f settled/s; an event costs the instance %v, Redis %v, Postgres %v",
		n, queue, float64(events)/took.Seconds(), each(instances2-instances), each(memory2-memory),
		each(store2-store))
}
