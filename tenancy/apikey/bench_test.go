package apikey_test

import (
	"context"
	"crypto/sha256"
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
	key[20] = 'x' ^ key[20]&1
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
