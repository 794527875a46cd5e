//go:build unix

package audit_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/opsmantik/sallyport/audit"
)

// padded is a record that encodes to about 512 bytes.
func padded(i int) audit.Record {
	r := record(fmt.Sprint(i))
	r.Reason = "A customer called twice within the hour, and the second call was the one that counts. " +
		"The first one was therefore marked as junk, after the manager on duty had listened to both and agreed " +
		"with that. Nobody was billed for it, and the partner was told so in writing on the same day."
	return r
}

// syncRate is how many times a second 512 bytes are appended and synced, by one writer.
func syncRate(b *testing.B) float64 {
	f, err := os.Create(filepath.Join(b.TempDir(), "plain"))
	require.NoError(b, err)
	defer func() { _ = f.Close() }()
	data := make([]byte, 512)
	start, n := time.Now(), 0
	for time.Since(start) < 100*time.Millisecond {
		_, err := f.Write(data)
		require.NoError(b, err)
		require.NoError(b, f.Sync())
		n++
	}
	return float64(n) / time.Since(start).Seconds()
}

// processor is the time that this process has computed, whatever else the machine does.
func processor() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// hashRate is how many leaves of that many bytes are hashed in a second of a core.
func hashRate(size int) float64 {
	data := make([]byte, size)
	start, n := processor(), 0
	for processor()-start < 100*time.Millisecond {
		for range 1000 {
			_ = tlog.RecordHash(data)
		}
		n += 1000
	}
	return float64(n) / (processor() - start).Seconds()
}

// rounds measures two rates by turns, so that what else the machine does hits both, and
// reports the median of their ratio.
func rounds(b *testing.B, name string, ours, bound func() float64) {
	b.Helper()
	var ratios, rates []float64
	for range 9 {
		limit := bound()
		rate := ours()
		ratios, rates = append(ratios, rate/limit), append(rates, rate)
	}
	slices.Sort(ratios)
	slices.Sort(rates)
	b.ReportMetric(rates[4], "records/s")
	b.ReportMetric(ratios[4], name)
	b.ReportMetric(0, "ns/op")
}

// BenchmarkFile is durable records a second of 64 appenders, against what one core can
// hash and what the disk syncs.
func BenchmarkFile(b *testing.B) {
	log, err := audit.New(audit.Config{Dir: filepath.Join(b.TempDir(), "log")})
	require.NoError(b, err)
	ours := func() float64 {
		const each = 100
		start := time.Now()
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				r := padded(7)
				for range each {
					if _, err := log.Append(context.Background(), r); err != nil {
						b.Error(err)
					}
				}
			})
		}
		all.Wait()
		return 64 * each / time.Since(start).Seconds()
	}
	rounds(b, "of-limit", ours, func() float64 { return min(64*syncRate(b), hashRate(512)) })
	require.NoError(b, log.Close())
}

// BenchmarkVerify is entries of a log of 50,000 records, checked against its tree, for
// each that one core could hash.
func BenchmarkVerify(b *testing.B) {
	const n = 50_000
	dir := filepath.Join(b.TempDir(), "log")
	log, err := audit.New(audit.Config{Dir: dir})
	require.NoError(b, err)
	appendPadded(b, log, n)
	head, err := log.Head(b.Context())
	require.NoError(b, err)
	require.NoError(b, log.Close())
	fs := os.DirFS(dir)
	ours := func() float64 {
		start := processor()
		_, err := audit.VerifyDir(fs, head.Tree(), nil)
		require.NoError(b, err)
		return float64(head.Size()) / (processor() - start).Seconds()
	}
	entry, err := padded(n).Encode()
	require.NoError(b, err)
	b.Logf("entries of %d bytes", len(entry))
	rounds(b, "of-hashing", ours, func() float64 { return hashRate(len(entry)) })
}

// appendPadded appends n records, many at a time.
func appendPadded(b *testing.B, log *audit.Log, n int) {
	b.Helper()
	errs := make(chan error, 64)
	for range 64 {
		go func() {
			var err error
			for i := 0; i < n/64 && err == nil; i++ {
				_, err = log.Append(context.Background(), padded(i))
			}
			errs <- err
		}()
	}
	for range 64 {
		require.NoError(b, <-errs)
	}
}

// million is a tree of 2^20 leaves with its stored hashes.
var million = sync.OnceValues(func() (tlog.HashReader, tlog.Tree) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			hashes[i] = stored[index]
		}
		return hashes, nil
	})
	const n = 1 << 20
	for i := range int64(n) {
		hashes, err := tlog.StoredHashes(i, []byte("entry"), reader)
		if err != nil {
			panic(err)
		}
		stored = append(stored, hashes...)
	}
	root, err := tlog.TreeHash(n, reader)
	if err != nil {
		panic(err)
	}
	return reader, tlog.Tree{N: n, Hash: root}
})

// BenchmarkProof proves and checks one entry of a million: from hashes in memory, and of
// a published log from its tiles on disk.
func BenchmarkProof(b *testing.B) {
	b.Run("memory", func(b *testing.B) {
		reader, tree := million()
		for i := int64(0); b.Loop(); i = (i + 7919) % tree.N {
			proof, err := tlog.ProveRecord(tree.N, i, reader)
			require.NoError(b, err)
			require.NoError(b, tlog.CheckRecord(proof, tree.N, tree.Hash, i, tlog.RecordHash([]byte("entry"))))
		}
	})
	b.Run("published", func(b *testing.B) {
		p := publishLog(b, 30_000)
		for i := int64(0); b.Loop(); i = (i + 7919) % p.tree.N {
			_, err := p.publisher.Proof(b.Context(), i)
			require.NoError(b, err)
		}
	})
}
