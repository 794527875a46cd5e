package redissession_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/sessions/redissession"
)

// sample is a record as Start makes one.
func sample(user string, n int) *sessions.Record {
	rec := &sessions.Record{
		Key: sessions.Key{Tag: sessions.Tag(user)}, ID: fmt.Sprintf("%026d", n), User: user,
		Level: 1, PerUser: 1000, Idle: 30 * time.Minute, Lifetime: 12 * time.Hour,
		Data: []byte(`{"n":1}`),
	}
	copy(rec.Key.Hash[:], fmt.Sprintf("%032d", n))
	return rec
}

// BenchmarkRead compares one read with a bare GET of as many bytes, alternating, and
// reports medians in microseconds: a mean would tell of the machine.
func BenchmarkRead(b *testing.B) {
	c := newClient(b, loopback.Redis(b))
	s := newStore(b, redissession.Config{Client: c})
	ctx := b.Context()
	rec, err := s.Create(ctx, sample("ada", 1))
	require.NoError(b, err)
	require.NoError(b, c.Set(ctx, "bare", make([]byte, 150), 0).Err())
	took := map[string][]time.Duration{}
	measure := func(name string, do func() error) {
		begin := time.Now()
		err := do()
		took[name] = append(took[name], time.Since(begin))
		if err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		measure("get", func() error { return c.Get(ctx, "bare").Err() })
		measure("peek", func() error {
			_, err := s.Load(ctx, rec.Key, sessions.Peek)
			return err
		})
		measure("use", func() error {
			_, err := s.Load(ctx, rec.Key, sessions.Use)
			return err
		})
		measure("replace", func() error {
			next, err := s.Replace(ctx, rec.Key, &rec)
			rec = next
			return err
		})
	}
	median := func(name string) float64 {
		slices.Sort(took[name])
		return float64(took[name][len(took[name])/2].Nanoseconds()) / 1000
	}
	b.ReportMetric(0, "ns/op")
	for _, name := range []string{"get", "peek", "use", "replace"} {
		b.ReportMetric(median(name), name+"-us")
		b.ReportMetric(median(name)/median("get"), name+"/get")
	}
}

// BenchmarkEnd ends a user and everybody among 20,000 sessions.
func BenchmarkEnd(b *testing.B) {
	c := newClient(b, loopback.Redis(b))
	s := newStore(b, redissession.Config{Client: c})
	ctx := b.Context()
	var user, everybody time.Duration
	n := 0
	for b.Loop() {
		for range 20_000 {
			n++
			_, err := s.Create(ctx, sample(fmt.Sprint("user", n), n))
			require.NoError(b, err)
		}
		begin := time.Now()
		ended, err := s.End(ctx, sessions.Selection{User: fmt.Sprint("user", n)})
		user += time.Since(begin)
		require.NoError(b, err)
		require.Equal(b, 1, ended)
		begin = time.Now()
		ended, err = s.End(ctx, sessions.Selection{Everyone: true})
		everybody += time.Since(begin)
		require.NoError(b, err)
		require.Equal(b, 20_000-1, ended)
	}
	b.ReportMetric(float64(user.Microseconds())/float64(b.N), "user-us")
	b.ReportMetric(float64(everybody.Microseconds())/float64(b.N), "everybody-us")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkMemory tells how much of Redis a session takes.
func BenchmarkMemory(b *testing.B) {
	c := newClient(b, loopback.Redis(b))
	s := newStore(b, redissession.Config{Client: c})
	used := func() int64 {
		info, err := c.InfoMap(b.Context(), "memory").Result()
		require.NoError(b, err)
		var n int64
		_, err = fmt.Sscan(info["Memory"]["used_memory"], &n)
		require.NoError(b, err)
		return n
	}
	n := 0
	before := used()
	for b.Loop() {
		n++
		_, err := s.Create(b.Context(), sample(fmt.Sprintf("user-%08d", n), n))
		require.NoError(b, err)
	}
	b.ReportMetric(float64(used()-before)/float64(n), "B/session")
}
