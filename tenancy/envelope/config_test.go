package envelope_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/tenancy/envelope"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	_, err := envelope.New(envelope.Config{})
	require.ErrorContains(t, err, "envelope: KEK:")
	require.ErrorContains(t, err, "envelope: Store:")
	for name, tt := range map[string]struct {
		edit  func(*envelope.Config)
		field string
	}{
		"rotate soon":    {func(c *envelope.Config) { c.RotateAfter = time.Minute - 1 }, "RotateAfter"},
		"rotate":         {func(c *envelope.Config) { c.RotateAfter = time.Minute }, ""},
		"rotate late":    {func(c *envelope.Config) { c.RotateAfter = 3650 * 24 * time.Hour }, ""},
		"rotate never":   {func(c *envelope.Config) { c.RotateAfter = 3650*24*time.Hour + 1 }, "RotateAfter"},
		"short cache":    {func(c *envelope.Config) { c.CacheTTL = time.Second - 1 }, "CacheTTL"},
		"shortest cache": {func(c *envelope.Config) { c.CacheTTL = time.Second }, ""},
		"longest cache":  {func(c *envelope.Config) { c.CacheTTL = time.Hour }, ""},
		"long cache":     {func(c *envelope.Config) { c.CacheTTL = time.Hour + 1 }, "CacheTTL"},
		"no cache":       {func(c *envelope.Config) { c.CacheSize = -1 }, "CacheSize"},
		"one":            {func(c *envelope.Config) { c.CacheSize = 1 }, ""},
		"a million":      {func(c *envelope.Config) { c.CacheSize = 1_000_000 }, ""},
		"more":           {func(c *envelope.Config) { c.CacheSize = 1_000_001 }, "CacheSize"},
		"short timeout":  {func(c *envelope.Config) { c.Timeout = time.Millisecond - 1 }, "Timeout"},
		"least timeout":  {func(c *envelope.Config) { c.Timeout = time.Millisecond }, ""},
		"most timeout":   {func(c *envelope.Config) { c.Timeout = time.Minute }, ""},
		"long timeout":   {func(c *envelope.Config) { c.Timeout = time.Minute + 1 }, "Timeout"},
		"old KEK twice": {
			func(c *envelope.Config) { c.OldKEKs = []envelope.KEK{c.KEK} }, "OldKEKs[0]",
		},
		"nil old KEK": {func(c *envelope.Config) { c.OldKEKs = []envelope.KEK{nil} }, "OldKEKs[0]"},
		"KEK without a name": {
			func(c *envelope.Config) { c.OldKEKs = []envelope.KEK{nameless{}} }, "OldKEKs[0]",
		},
	} {
		cfg := envelope.Config{KEK: newKEK(t, "kek"), Store: newStore(t)}
		tt.edit(&cfg)
		_, err := envelope.New(cfg)
		if tt.field == "" {
			require.NoError(t, err, name)
			continue
		}
		problem, ok := errors.AsType[*sallyport.ConfigError](err)
		require.True(t, ok, name)
		require.Equal(t, tt.field, problem.Field, name)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	for n, ok := range map[int]bool{-1: false, 1: true, 1_000_000: true, 1_000_001: false} {
		_, err := envelope.NewMemory(envelope.MemoryConfig{MaxOwners: n})
		require.Equal(t, ok, err == nil, n)
	}
	store, err := envelope.NewMemory(envelope.MemoryConfig{MaxOwners: 1})
	require.NoError(t, err)
	w := newWorld(t, func(c *envelope.Config) { c.Store = store })
	_ = w.seal(t, place, secret)
	other := place
	other.Subject = "p2"
	_, err = w.Seal(t.Context(), nil, other, secret)
	require.ErrorContains(t, err, "full")
	require.NoError(t, w.Shred(t.Context(), owner))
	_ = w.seal(t, other, secret)
}

func TestZeroVault(t *testing.T) {
	t.Parallel()
	for _, v := range []*envelope.Vault{nil, {}} {
		_, err := v.Seal(t.Context(), nil, place, nil)
		require.ErrorContains(t, err, "not made by New")
		_, err = v.Open(t.Context(), nil, place, nil)
		require.ErrorContains(t, err, "not made by New")
		_, err = v.SealFile(t.Context(), nil, place)
		require.ErrorContains(t, err, "not made by New")
		_, err = v.OpenFile(t.Context(), nil, 0, place)
		require.ErrorContains(t, err, "not made by New")
		_, err = v.Handle(t.Context(), owner)
		require.ErrorContains(t, err, "not made by New")
		require.ErrorContains(t, v.Shred(t.Context(), owner), "not made by New")
		require.ErrorContains(t, v.Rewrap(t.Context(), nil, nil), "not made by New")
		v.Forget(owner)
	}
	_, err := newWorld(t, nil).Handle(t.Context(), envelope.Owner{})
	require.ErrorIs(t, err, envelope.ErrPlace)
}

type nameless struct{ envelope.KEK }
