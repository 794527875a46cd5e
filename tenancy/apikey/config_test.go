package apikey_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/tenancy/apikey"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	_, err := apikey.New(apikey.Config{})
	for _, field := range []string{"Prefix", "Store", "Permitted"} {
		require.ErrorContains(t, err, "apikey: "+field+":")
	}
	store := newStore(t)
	for name, tt := range map[string]struct {
		edit  func(*apikey.Config)
		field string
	}{
		"a letter":         {func(c *apikey.Config) { c.Prefix = "a" }, "Prefix"},
		"two letters":      {func(c *apikey.Config) { c.Prefix = "ab" }, ""},
		"20 characters":    {func(c *apikey.Config) { c.Prefix = strings.Repeat("a", 20) }, ""},
		"21 characters":    {func(c *apikey.Config) { c.Prefix = strings.Repeat("a", 21) }, "Prefix"},
		"digits and _":     {func(c *apikey.Config) { c.Prefix = "a_09z" }, ""},
		"a digit first":    {func(c *apikey.Config) { c.Prefix = "0a" }, "Prefix"},
		"_ first":          {func(c *apikey.Config) { c.Prefix = "_a" }, "Prefix"},
		"_ last":           {func(c *apikey.Config) { c.Prefix = "a_" }, "Prefix"},
		"a capital":        {func(c *apikey.Config) { c.Prefix = "aB" }, "Prefix"},
		"beyond z":         {func(c *apikey.Config) { c.Prefix = "a{" }, "Prefix"},
		"before a":         {func(c *apikey.Config) { c.Prefix = "a`" }, "Prefix"},
		"beyond 9":         {func(c *apikey.Config) { c.Prefix = "a:" }, "Prefix"},
		"before 0":         {func(c *apikey.Config) { c.Prefix = "a/" }, "Prefix"},
		"an hour":          {func(c *apikey.Config) { c.MaxAge = time.Hour }, ""},
		"less":             {func(c *apikey.Config) { c.MaxAge = time.Hour - 1 }, "MaxAge"},
		"90 days":          {func(c *apikey.Config) { c.MaxAge = 90 * day }, ""},
		"more":             {func(c *apikey.Config) { c.MaxAge = 90*day + 1 }, "MaxAge"},
		"more, on purpose": {func(c *apikey.Config) { c.MaxAge, c.DangerouslyLongLived = 3650*day, true }, ""},
		"for ever":         {func(c *apikey.Config) { c.MaxAge, c.DangerouslyLongLived = 3650*day+1, true }, "MaxAge"},
		"touch often":      {func(c *apikey.Config) { c.TouchEvery = time.Second - 1 }, "TouchEvery"},
		"touch seldom":     {func(c *apikey.Config) { c.TouchEvery = day + 1 }, "TouchEvery"},
		"touch a day":      {func(c *apikey.Config) { c.TouchEvery = day }, ""},
		"touch a second":   {func(c *apikey.Config) { c.TouchEvery = time.Second }, ""},
		"short timeout":    {func(c *apikey.Config) { c.Timeout = time.Millisecond - 1 }, "Timeout"},
		"long timeout":     {func(c *apikey.Config) { c.Timeout = time.Minute + 1 }, "Timeout"},
		"timeout":          {func(c *apikey.Config) { c.Timeout = time.Minute }, ""},
		"least timeout":    {func(c *apikey.Config) { c.Timeout = time.Millisecond }, ""},
	} {
		cfg := apikey.Config{Prefix: "acme", Store: store, Permitted: never}
		tt.edit(&cfg)
		_, err := apikey.New(cfg)
		problem, _ := errors.AsType[*sallyport.ConfigError](err)
		if tt.field == "" {
			require.NoError(t, err, name)
			continue
		}
		require.NotNil(t, problem, name)
		require.Equal(t, tt.field, problem.Field, name)
	}
	for n, ok := range map[int]bool{-1: false, 1: true, 1_000_000: true, 1_000_001: false} {
		_, err := apikey.NewMemory(apikey.MemoryConfig{MaxKeys: n})
		require.Equal(t, ok, err == nil, n)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	memory, err := apikey.NewMemory(apikey.MemoryConfig{MaxKeys: 2})
	require.NoError(t, err)
	g, _ := newGate(t, func(c *apikey.Config) { c.Store = memory })
	_, first := issue(t, g, 0)
	_, second := issue(t, g, 0)
	_, _, err = g.Issue(t.Context(), ann, "one too many", []string{"calls:view"}, 0)
	require.Equal(t, apikey.CodeUnavailable, code(err))
	var ids []string
	for _, r := range memory.List("ann") {
		ids = append(ids, r.ID)
		require.Zero(t, r.Hash)
	}
	slices.Sort(ids)
	want := []string{first.ID, second.ID}
	slices.Sort(want)
	require.Equal(t, want, ids)
	require.Empty(t, memory.List("rob"))
	synctest.Test(t, func(t *testing.T) {
		g, store := newGate(t, nil)
		for range 5 {
			issue(t, g, 0)
			time.Sleep(time.Second)
		}
		list := store.List("ann")
		for i := range list[1:] {
			require.True(t, list[i].Created.After(list[i+1].Created), "the newest first")
		}
	})
}
