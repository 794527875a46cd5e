//go:build unix

package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/postgres/postgrestest"
)

var serial atomic.Int64

// fresh are events of about 600 bytes that nobody has sent before.
func fresh(n int) []event.Received {
	now := time.Now().UTC().Truncate(time.Millisecond)
	batch := make([]event.Received, n)
	for i := range batch {
		id := serial.Add(1)
		batch[i] = event.Received{
			ID: fmt.Sprintf("%026d", id), Site: fmt.Sprintf("%032x", id%50), At: now,
			Visit: fmt.Sprintf("%026d", id/200), Event: &event.Event{
				Site: fmt.Sprintf("%032x", id%50), Session: fmt.Sprintf("e22b4136-1bf0-4fd4-a10d-%012d", id/20),
				URL:      "https://shop.example/products/shoes?utm_source=g&utm_campaign=" + strings.Repeat("x", 60),
				Category: "interaction", Action: "view", Referrer: "https://www.google.example/",
				Meta: jsontext.Value(fmt.Sprintf(`{"duration_sec":%d,"fp":"%s"}`, id, strings.Repeat("f", 100))),
			},
		}
		batch[i].Complete()
	}
	return batch
}

// BenchmarkStore stores batches of 20 from many callers at once.
func BenchmarkStore(b *testing.B) {
	g := postgrestest.Start(b, "fsync=on", "shared_buffers=512MB", "max_wal_size=4GB")
	database := g.Database(b)
	db := open(b, g.Config(database))
	conn := g.Super(b, database)
	defer func() { _ = conn.Close(context.Background()) }()
	number := func(query string) (n float64) {
		require.NoError(b, conn.QueryRow(b.Context(), query).Scan(&n))
		return n
	}
	const written = `SELECT (pg_current_wal_lsn() - '0/0')::float8`
	const size = `SELECT sum(pg_total_relation_size(oid))::float8 FROM pg_class
		WHERE relnamespace = 'ingest'::regnamespace AND relkind = 'r'`
	before, empty := number(written), number(size)
	b.ResetTimer()
	var all sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(b.N))
	began := time.Now()
	for range 64 {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				stored, err := db.Store(b.Context(), fresh(20))
				if err != nil || stored.New != 20 {
					b.Errorf("%v %v", stored, err)
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(20*b.N)/time.Since(began).Seconds(), "events/s")
	b.ReportMetric((number(written)-before)/float64(20*b.N), "wal-bytes/event")
	b.ReportMetric((number(size)-empty)/float64(20*b.N), "bytes/event")
}
