package apikey_test

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/tenancy/apikey"
)

// instant is a store that costs nothing, so that what is left is the gate.
type instant struct {
	apikey.Store
	record apikey.Record
}

func (s *instant) Find(context.Context, [sha256.Size]byte) (apikey.Record, error) {
	return s.record, nil
}

func BenchmarkMalformed(b *testing.B) {
	key := []byte(apikey.NewKey("acme"))
	key[20] = map[bool]byte{true: 'y', false: 'x'}[key[20] == 'x']
	typo := string(key)
	b.ReportAllocs()
	for b.Loop() {
		if apikey.WellFormed("acme", typo) {
			b.Fatal("accepted")
		}
	}
}

func BenchmarkFormAndHash(b *testing.B) {
	key := apikey.NewKey("acme")
	b.ReportAllocs()
	for b.Loop() {
		if !apikey.WellFormed("acme", key) || apikey.Hash(key) == [32]byte{} {
			b.Fatal("refused")
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	g, store := newGate(b, nil)
	key, _ := issue(b, g, 0)
	record, err := store.Memory.Find(b.Context(), apikey.Hash(key))
	require.NoError(b, err)
	record.LastUsed = time.Now().Add(time.Hour)
	fast, _ := newGate(b, func(c *apikey.Config) { c.Store = &instant{record: record} })
	for name, text := range map[string]string{"valid": key, "malformed": key[:len(key)-1]} {
		r := with(text)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = fast.Check(r)
			}
		})
	}
}

// BenchmarkGate takes turns, in rounds of a thousand, between what a key is checked with
// in any case (its form, its hash, a comparison) and Check with a store that costs
// nothing, so that what the machine does besides hits both. Read the best rounds.
func BenchmarkGate(b *testing.B) {
	g, store := newGate(b, nil)
	key, _ := issue(b, g, 0)
	record, err := store.Memory.Find(b.Context(), apikey.Hash(key))
	require.NoError(b, err)
	record.LastUsed = time.Now().Add(time.Hour)
	fast, _ := newGate(b, func(c *apikey.Config) { c.Store = &instant{record: record} })
	r := with(key)
	const round = 1000
	best := [2]time.Duration{time.Hour, time.Hour}
	for b.Loop() {
		for i, do := range [2]func(){
			func() {
				hash := apikey.Hash(key)
				if !apikey.WellFormed("acme", key) ||
					subtle.ConstantTimeCompare(hash[:], record.Hash[:]) != 1 {
					b.Fatal("refused")
				}
			},
			func() {
				if _, err := fast.Check(r); err != nil {
					b.Fatal(err)
				}
			},
		} {
			began := time.Now()
			for range round {
				do()
			}
			best[i] = min(best[i], time.Since(began))
		}
	}
	b.ReportMetric(float64(best[0])/round, "least-ns")
	b.ReportMetric(float64(best[1])/round, "check-ns")
}
