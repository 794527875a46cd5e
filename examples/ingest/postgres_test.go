//go:build unix

package main_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/load"
	"github.com/opsmantik/sallyport/examples/ingest/password"
	"github.com/opsmantik/sallyport/examples/ingest/postgres"
	"github.com/opsmantik/sallyport/examples/ingest/postgres/postgrestest"
	"github.com/opsmantik/sallyport/examples/ingest/servicetest"
)

const (
	scaledSite   = "0123456789abcdef0123456789abcdef"
	scaledSecret = "s3cr3t-s3cr3t-s3cr3t"
	scaledOrigin = "https://shop.example"
)

// scaled is the environment of an instance on Postgres, in production.
func scaled(t testing.TB, cfg postgres.Config) []string {
	t.Helper()
	dir := t.TempDir()
	return []string{
		"ALLOWED_ORIGINS=" + scaledOrigin,
		"SITES_FILE=" + writeFile(t, dir, "sites.json", `[{"id":"`+scaledSite+`","name":"Shop",`+
			`"origins":["`+scaledOrigin+`"],"secret":"`+scaledSecret+`","rate_per_minute":1000000,"owner":"u1"}]`),
		"USERS_FILE=" + writeFile(t, dir, "users.json", `[{"id":"u1","email":"a@b.test",`+
			`"password_hash":"`+password.New("correct horse").PHC()+`",`+
			`"totp_secret":"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP","role":"admin","sites":["`+scaledSite+`"]}]`),
		"QSTASH_CURRENT_SIGNING_KEY=sig_7kQ2mVx9Lr4TzW8bN3cY", "DRAIN=0s",
		"DATABASE_URL=" + cfg.URL, "SERVICE_DATABASE_URL=" + cfg.ServiceURL,
		"MIGRATE_DATABASE_URL=" + cfg.MigrateURL,
	}
}

// names reads what is stored: the labels of events, and the ids of call events.
func names(t testing.TB, g *postgrestest.Cluster, database string, found func(string)) {
	t.Helper()
	conn := g.Super(t, database)
	defer func() { _ = conn.Close(context.Background()) }()
	rows, err := conn.Query(t.Context(),
		`SELECT label FROM ingest.events UNION ALL SELECT event_id FROM ingest.calls`)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		found(name)
	}
	require.NoError(t, rows.Err())
}

// TestLoadOnPostgres keeps an instance busy that has Postgres and no queue: what it
// acknowledges is stored.
func TestLoadOnPostgres(t *testing.T) {
	t.Parallel()
	g := postgrestest.Start(t, "fsync=on", "shared_buffers=256MB", "max_wal_size=4GB")
	database := g.Database(t)
	p := start(t, t.TempDir(), scaled(t, g.Config(database))...)
	cfg := load.Config{
		URL: p.URL, Site: scaledSite, Secret: scaledSecret, Origin: scaledOrigin,
		Clients: 64, Batch: 20, Doubles: 5, Duration: soak(t, time.Second, time.Minute),
	}
	var early int
	timer := time.AfterFunc(cfg.Duration/3, func() { early = p.gauge("go_goroutines") })
	defer timer.Stop()
	report, err := load.Run(t.Context(), cfg)
	require.NoError(t, err)
	o := outcome{Report: report, memory: p.resident()}
	o.goroutines = [2]int{early, p.gauge("go_goroutines")}
	p.stop()
	names(t, g, database, report.Ledger.Found)
	o.lost, o.twice = report.Ledger.Settle()
	o.log(t)
	o.requireExactlyOnce(t)
	require.Less(t, o.memory, 300)
}

// fleet is some instances on one Postgres and one Redis, of which any may be gone.
type fleet struct {
	t   testing.TB
	env []string
	mu  sync.Mutex
	all []*process

	next  atomic.Int64
	acked sync.Map // labels
	count atomic.Int64
	last  time.Time
	gap   time.Duration // the longest time in which nothing was acknowledged
}

func (f *fleet) acknowledged(label string) {
	f.acked.Store(label, true)
	f.count.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if !f.last.IsZero() {
		f.gap = max(f.gap, now.Sub(f.last))
	}
	f.last = now
}

func (f *fleet) at(i int) *process {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.all[i%len(f.all)]
}

// replace kills an instance, or stops every second one, and starts another one in its place.
func (f *fleet) replace(i int) {
	if i%2 == 1 {
		f.at(i).stop() // SIGTERM, in the middle of the load
	} else {
		f.at(i).kill()
	}
	p := start(f.t, f.t.TempDir(), f.env...)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all[i%len(f.all)] = p
}

// send sends events until ctx ends, each to one instance after the other until one of
// them has taken it, as a tracker does behind a balancer.
func (f *fleet) send(ctx context.Context) {
	for ctx.Err() == nil {
		label := fmt.Sprintf("event-%d", f.next.Add(1))
		body := fmt.Sprintf(`{"s":%q,"u":"https://shop.example/","sid":"e22b4136-1bf0-4fd4-a10d-%012d",`+
			`"ec":"interaction","ea":"view","el":%q,"consent_scopes":["analytics"]}`,
			scaledSite, f.next.Load(), label)
		for try := rand.IntN(3); ctx.Err() == nil; try++ {
			limit, cancel := context.WithTimeout(ctx, 12*time.Second)
			res, err := f.at(try).post(limit, "/api/sync", scaledOrigin, body)
			if err == nil {
				_, err = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
			cancel()
			if err == nil && res.StatusCode == http.StatusAccepted {
				f.acknowledged(label)
				break
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
}

// after does something, waits until 50 more events are acknowledged, and says for how
// long nothing was.
func (f *fleet) after(what string, do func()) {
	f.t.Helper()
	f.mu.Lock()
	f.gap = 0
	f.mu.Unlock()
	do()
	target := f.count.Load() + 50
	require.Eventually(f.t, func() bool { return f.count.Load() >= target }, time.Minute,
		5*time.Millisecond, "the service does not come back")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.t.Logf("%s: at most %v without an acknowledgement", what, f.gap.Round(time.Millisecond))
	require.Less(f.t, f.gap, 5*time.Second, what)
}

// TestInstancesComeAndGo: of three instances one is killed again and again, Redis is
// paused and Postgres crashes, while trackers go on sending. With the queue in Redis,
// that is killed as well, and events are taken while Postgres is away.
func TestInstancesComeAndGo(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it starts three servers on two services")
	}
	for _, queue := range []string{"none", "redis"} {
		t.Run("queue "+queue, func(t *testing.T) {
			t.Parallel()
			comeAndGo(t, queue == "redis")
		})
	}
}

func comeAndGo(t *testing.T, queued bool) {
	g := postgrestest.Start(t)
	database := g.Database(t)
	redis := servicetest.StartRedis(t, servicetest.Durable()...)
	f := &fleet{t: t, env: append(scaled(t, g.Config(database)), "REDIS_URL=redis://"+redis.Addr)}
	if !queued {
		f.env = append(f.env, "QUEUE=none")
	}
	for range 3 {
		f.all = append(f.all, start(t, t.TempDir(), f.env...))
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var senders sync.WaitGroup
	for range 12 {
		senders.Go(func() { f.send(ctx) })
	}
	rounds, every := 2, 500*time.Millisecond
	if os.Getenv("SALLYPORT_SOAK") == "1" {
		rounds, every = 12, 5*time.Second
	}
	f.after("the start", func() {})
	for i := range rounds {
		f.after("an instance killed or stopped, and replaced", func() { f.replace(i) })
		switch i {
		case rounds / 3:
			f.after("Redis paused for a second", func() {
				redis.Pause()
				<-time.After(time.Second)
				redis.Resume()
			})
			if queued {
				f.after("Redis killed and started again", redis.Restart)
			}
		case rounds / 2:
			f.after("Postgres crashed and recovered", g.Server.Restart)
			if queued {
				g.Server.Kill()
				f.after("Postgres away", func() { <-time.After(time.Second) })
				g.Server.Restart()
			}
		}
		<-time.After(every)
	}
	stop()
	senders.Wait()
	if queued {
		began, waiting := time.Now(), f.at(0).gauge("sallyport_queue_rows")
		require.Eventually(t, func() bool { return f.at(0).gauge("sallyport_queue_rows") == 0 },
			2*time.Minute, 50*time.Millisecond, "the queue does not drain")
		t.Logf("a backlog of %d drained in %v", waiting, time.Since(began).Round(time.Millisecond))
	}
	for i := range f.all {
		f.at(i).stop()
	}
	stored := map[string]int{}
	names(t, g, database, func(name string) { stored[name]++ })
	lost, twice := 0, 0
	f.acked.Range(func(label, _ any) bool {
		if stored[label.(string)] == 0 {
			lost++
		}
		return true
	})
	for _, n := range stored {
		if n > 1 {
			twice++
		}
	}
	t.Logf("%d acknowledged, %d lost, %d stored twice", f.count.Load(), lost, twice)
	require.Zero(t, lost)
	require.Zero(t, twice)
}
