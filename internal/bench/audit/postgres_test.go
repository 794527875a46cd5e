//go:build linux

package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/pgaudit"
	"github.com/opsmantik/sallyport/internal/loopback"
)

// postgres is a server that syncs, with the tables of the log.
func postgres(b *testing.B) (owner *pgxpool.Pool) {
	b.Helper()
	server := loopback.StartPostgres(b, "fsync=on", "shared_buffers=256MB", "max_connections=100")
	owner, err := pgxpool.New(context.Background(), server.DSN+"&pool_max_conns=40")
	require.NoError(b, err)
	b.Cleanup(owner.Close)
	schema, err := pgaudit.Schema(pgaudit.Roles{App: "app", Sequencer: "seq", Auditor: "aud"})
	require.NoError(b, err)
	_, err = owner.Exec(b.Context(), `CREATE ROLE app; CREATE ROLE seq; CREATE ROLE aud;`+schema+`
		;CREATE TABLE calls (id bigint PRIMARY KEY, status text NOT NULL);
		CREATE TABLE chain (id bigserial PRIMARY KEY, hash bytea, entry bytea);
		CREATE TABLE chain_head (head text); INSERT INTO chain_head VALUES ('0');
		INSERT INTO calls SELECT n, 'open' FROM generate_series(1, 100000) n`)
	require.NoError(b, err)
	return owner
}

// BenchmarkPostgres is actions a second of 32 goroutines: alone, with the record in the
// transaction, and with a chain whose head the transaction locks.
func BenchmarkPostgres(b *testing.B) {
	db := postgres(b)
	var call atomic.Int64
	act := func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE calls SET status = 'sealed' WHERE id = $1`, call.Add(1)%100000)
		return err
	}
	alone := func(ctx context.Context) error {
		return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error { return act(ctx, tx) })
	}
	recorded := func(ctx context.Context) error {
		return pgaudit.Do(ctx, db, func(tx pgx.Tx) (audit.Record, error) {
			return padded(7), act(ctx, tx)
		})
	}
	chained := func(ctx context.Context) error {
		return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
			var text string
			err := tx.QueryRow(ctx, `SELECT head FROM chain_head FOR UPDATE`).Scan(&text)
			if err != nil {
				return err
			}
			var head audit.Head
			if err := head.UnmarshalText([]byte(text)); err != nil {
				return err
			}
			entry, err := padded(7).Encode()
			if err != nil {
				return err
			}
			next, err := head.Next(entry).MarshalText()
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `INSERT INTO chain (entry) VALUES ($1)`, entry); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `UPDATE chain_head SET head = $1`, string(next)); err != nil {
				return err
			}
			return act(ctx, tx)
		})
	}
	rate := func(do func(context.Context) error) func() float64 {
		return func() float64 {
			var done atomic.Int64
			var all sync.WaitGroup
			ctx, cancel := context.WithTimeout(context.Background(), 700*time.Millisecond)
			defer cancel()
			start := time.Now()
			for range 32 {
				all.Go(func() {
					for ctx.Err() == nil && do(ctx) == nil {
						done.Add(1)
					}
				})
			}
			all.Wait()
			return float64(done.Load()) / time.Since(start).Seconds()
		}
	}
	b.Run("recorded", func(b *testing.B) { rounds(b, "of-action", rate(recorded), rate(alone)) })
	b.Run("chained", func(b *testing.B) { rounds(b, "of-recorded", rate(chained), rate(recorded)) })
}

// BenchmarkSequencer is records a second that get their place while nobody writes, and
// the lag of the oldest while writers keep it half busy.
func BenchmarkSequencer(b *testing.B) {
	db := postgres(b)
	log, err := pgaudit.New(b.Context(), pgaudit.Config{Pool: db})
	require.NoError(b, err)
	entry, err := padded(7).Encode()
	require.NoError(b, err)
	const n = 60_000
	fill := func(rows int) {
		_, err := db.Exec(b.Context(),
			`INSERT INTO audit.pending (entry) SELECT $1 FROM generate_series(1, $2::int)`, entry, rows)
		require.NoError(b, err)
	}
	drain := func() float64 {
		start, done := time.Now(), 0
		for {
			rows, err := log.Sequence(b.Context())
			require.NoError(b, err)
			if done += rows; rows == 0 {
				return float64(done) / time.Since(start).Seconds()
			}
		}
	}
	fill(n)
	before := processor() + backends(b, db)
	rate := drain()
	busy := processor() + backends(b, db) - before
	b.ReportMetric(n/busy.Seconds(), "records/cpu-s")
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { log.Run(ctx, 20*time.Millisecond); close(done) }()
	var worst time.Duration
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 80 {
		<-tick.C
		fill(int(rate / 2 / 20))
		_, oldest, err := log.Lag(b.Context())
		require.NoError(b, err)
		worst = max(worst, oldest)
	}
	stop()
	<-done
	b.ReportMetric(rate, "records/s")
	b.ReportMetric(worst.Seconds()*1000, "ms-lag")
	b.ReportMetric(0, "ns/op")
}

// backends is the time that the server's processes for this pool have computed.
func backends(b *testing.B, db *pgxpool.Pool) (total time.Duration) {
	b.Helper()
	rows, err := db.Query(b.Context(), `SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'`)
	require.NoError(b, err)
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	require.NoError(b, err)
	for _, pid := range pids {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		require.NoError(b, err)
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		for _, ticks := range fields[11:13] { // utime and stime, in hundredths
			n, err := strconv.Atoi(ticks)
			require.NoError(b, err)
			total += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return total
}
