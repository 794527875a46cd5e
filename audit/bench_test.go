package audit_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/audit"
)

// Not parallel: AllocsPerRun counts the whole process.
func TestAllocations(t *testing.T) {
	r := record("7")
	r.Reason = "twice"
	require.LessOrEqual(t, testing.AllocsPerRun(200, func() { _, _ = r.Encode() }), 1.0)
	entries, head := chain(t, 1000)
	require.LessOrEqual(t, testing.AllocsPerRun(200, func() { _ = head.Next(entries[0]) }), 1.0)
	require.Zero(t, testing.AllocsPerRun(200, func() { _ = head.Tree() }))
}

func BenchmarkEncode(b *testing.B) {
	r := record("7")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = r.Encode()
	}
}

func BenchmarkHeadNext(b *testing.B) {
	entries, head := chain(b, 1000)
	b.ReportAllocs()
	for b.Loop() {
		_ = head.Next(entries[0]).Tree()
	}
}

// BenchmarkDurable compares appenders that share an fsync with one fsync each.
func BenchmarkDurable(b *testing.B) {
	b.Run("group commit, 64 appenders", func(b *testing.B) {
		log := newLog(b, filepath.Join(b.TempDir(), "log"))
		var all sync.WaitGroup
		each := b.N/64 + 1
		b.ResetTimer()
		for range 64 {
			all.Go(func() {
				for range each {
					if _, err := log.Append(b.Context(), record("7")); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		b.ReportMetric(float64(each*64)/b.Elapsed().Seconds(), "records/s")
		require.NoError(b, log.Close())
	})
	b.Run("one fsync each", func(b *testing.B) {
		f, err := os.Create(filepath.Join(b.TempDir(), "log"))
		require.NoError(b, err)
		for range b.N {
			entry, _ := record("7").Encode()
			_, err := f.Write(append(entry, '\n'))
			require.NoError(b, err)
			require.NoError(b, f.Sync())
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		require.NoError(b, f.Close())
	})
}

// BenchmarkVerify is one line of a file of 10,000: parsing, hashing, comparing.
func BenchmarkVerify(b *testing.B) {
	const lines = 10_000
	path := filepath.Join(b.TempDir(), "log")
	log := newLog(b, path)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			for range lines / 100 {
				_, err := log.Append(b.Context(), record("7"))
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	tree := headOf(b, log).Tree()
	require.NoError(b, log.Close())
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, audit.Verify(audit.Entries(os.DirFS(path), 0), tree))
	}
	b.ReportMetric(float64(b.N*lines)/b.Elapsed().Seconds(), "lines/s")
}
