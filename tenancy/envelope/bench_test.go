package envelope_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Not parallel: AllocsPerRun counts the whole process.
func TestAllocations(t *testing.T) {
	if racing {
		t.Skip("sync.Pool drops at random under the race detector")
	}
	w := newWorld(t, nil)
	ctx := context.Background()
	plaintext := pattern(1024)
	sealed := make([]byte, 0, 2048)
	opened := make([]byte, 0, 2048)
	out, err := w.Seal(ctx, sealed, place, plaintext)
	require.NoError(t, err)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		if _, err := w.Seal(ctx, sealed, place, plaintext); err != nil {
			panic(err)
		}
		if _, err := w.Open(ctx, opened, place, out); err != nil {
			panic(err)
		}
	}))
}

// bare is crypto/cipher alone, with a random nonce and the same additional data.
func bare(b *testing.B) (cipher.AEAD, []byte) {
	b.Helper()
	block, err := aes.NewCipher(make([]byte, 32))
	require.NoError(b, err)
	aead, err := cipher.NewGCM(block)
	require.NoError(b, err)
	return aead, []byte("s1, p1, calls, transcript, 7, c.")
}

// BenchmarkSeal and BenchmarkOpen take turns with crypto/cipher in rounds of a thousand,
// so that what the machine does besides hits both; 1 KB, the destination reused. The
// figure to read is the ratio of the best rounds.
func BenchmarkSeal(b *testing.B) {
	plaintext, dst := pattern(1024), make([]byte, 0, 2048)
	aead, aad := bare(b)
	w, ctx := newWorld(b, nil), context.Background()
	_ = w.seal(b, place, plaintext)
	compare(b, func() {
		nonce := dst[:12]
		_, _ = rand.Read(nonce)
		_ = aead.Seal(nonce, nonce, plaintext, aad)
	}, func() { _, _ = w.Seal(ctx, dst, place, plaintext) })
}

func BenchmarkOpen(b *testing.B) {
	plaintext, dst := pattern(1024), make([]byte, 0, 2048)
	aead, aad := bare(b)
	nonce := make([]byte, 12)
	theirs := aead.Seal(nil, nonce, plaintext, aad)
	w, ctx := newWorld(b, nil), context.Background()
	ours := w.seal(b, place, plaintext)
	compare(b, func() { _, _ = aead.Open(dst, nonce, theirs, aad) },
		func() { _, _ = w.Open(ctx, dst, place, ours) })
}

func compare(b *testing.B, theirs, ours func()) {
	b.Helper()
	const round = 1000
	best := [2]time.Duration{time.Hour, time.Hour}
	b.ReportAllocs()
	for b.Loop() {
		for i, do := range [2]func(){theirs, ours} {
			began := time.Now()
			for range round {
				do()
			}
			best[i] = min(best[i], time.Since(began))
		}
	}
	b.ReportMetric(float64(best[0])/round, "bare-ns")
	b.ReportMetric(float64(best[1])/round, "ours-ns")
	b.ReportMetric(float64(best[1])/float64(best[0]), "ratio")
}
