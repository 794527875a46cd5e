package redissession_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/sessions/redissession"
)

func TestNewReportsEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := redissession.New(redissession.Config{
		Client: redis.NewClient(&redis.Options{Addr: "192.0.2.1:6379"}),
		Prefix: "a b", Resolution: time.Hour, Shards: 2000, MaxSessions: 1,
	})
	for _, part := range []string{
		"redissession: Client", "MaxRetries", "ContextTimeoutEnabled", "TLS",
		"Prefix", "Resolution", "Shards", "MaxSessions",
	} {
		require.ErrorContains(t, err, part)
	}
	_, err = redissession.New(redissession.Config{})
	bad, ok := errors.AsType[*sallyport.ConfigError](err)
	require.True(t, ok)
	require.Equal(t, sallyport.ConfigRequired, bad.Code)
}

func TestConfigLimits(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	for name, tt := range map[string]struct {
		cfg redissession.Config
		ok  bool
	}{
		"least":           {redissession.Config{Resolution: 1, Shards: 1, MaxSessions: 1, Prefix: "p"}, true},
		"most":            {redissession.Config{Resolution: time.Minute, Shards: 1024, MaxSessions: 1024}, true},
		"resolution":      {redissession.Config{Resolution: time.Minute + 1}, false},
		"no resolution":   {redissession.Config{Resolution: -1}, false},
		"shards":          {redissession.Config{Shards: 1025}, false},
		"negative shards": {redissession.Config{Shards: -1}, false},
		"fewer sessions":  {redissession.Config{Shards: 16, MaxSessions: 15}, false},
		"long prefix":     {redissession.Config{Prefix: strings.Repeat("p", 65)}, false},
		"prefix":          {redissession.Config{Prefix: strings.Repeat("p", 64)}, true},
		"braces":          {redissession.Config{Prefix: "{p}"}, false},
	} {
		tt.cfg.Client = newClient(t, addr)
		s, err := redissession.New(tt.cfg)
		require.Equal(t, tt.ok, err == nil, "%s: %v", name, err)
		s.Close()
	}
}

// A server that says no is an error at the start; one that is away is not.
func TestServersThatSayNo(t *testing.T) {
	t.Parallel()
	locked := loopback.RedisWith(t, "--requirepass", "secret")
	_, err := redissession.New(redissession.Config{Client: newClient(t, locked)})
	bad, ok := errors.AsType[*sallyport.ConfigError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, sallyport.ConfigUnavailable, bad.Code)

	evicting := loopback.RedisWith(t, "--maxmemory", "10mb", "--maxmemory-policy", "allkeys-lru")
	_, err = redissession.New(redissession.Config{Client: newClient(t, evicting)})
	require.ErrorContains(t, err, "noeviction")
	s, err := redissession.New(redissession.Config{
		Client: newClient(t, evicting), DangerouslyAllowEviction: true,
	})
	require.NoError(t, err)
	s.Close()

	away := loopback.StartRedis(t)
	away.Kill()
	s, err = redissession.New(redissession.Config{Client: newClient(t, away.Addr)})
	require.NoError(t, err)
	_, err = s.Load(t.Context(), sessions.Key{}, sessions.Use)
	require.Error(t, err)
	require.NotErrorIs(t, err, sessions.ErrNoSession)
	s.Close()
}

func TestZeroStore(t *testing.T) {
	t.Parallel()
	for _, s := range []*redissession.Store{nil, {}} {
		ctx := t.Context()
		_, loaded := s.Load(ctx, sessions.Key{}, sessions.Use)
		_, created := s.Create(ctx, &sessions.Record{})
		_, replaced := s.Replace(ctx, sessions.Key{}, &sessions.Record{})
		_, listed := s.List(ctx, "ada")
		_, ended := s.End(ctx, sessions.Selection{User: "ada"})
		_, everyone := s.End(ctx, sessions.Selection{Everyone: true})
		for _, err := range []error{loaded, created, replaced, listed, ended, everyone} {
			require.Error(t, err)
			require.NotErrorIs(t, err, sessions.ErrNoSession)
		}
		s.Close()
	}
}

// What somebody else wrote under our keys is an error, not a session.
func TestCorruptSessions(t *testing.T) {
	t.Parallel()
	client := newClient(t, loopback.Redis(t))
	s := newStore(t, redissession.Config{Client: client, Shards: 1})
	rec, err := s.Create(t.Context(), sample("ada", 1))
	require.NoError(t, err)
	keys, err := client.Keys(t.Context(), "*:s:*").Result()
	require.NoError(t, err)
	require.Len(t, keys, 1)
	good, err := client.Get(t.Context(), keys[0]).Result()
	require.NoError(t, err)
	for name, text := range map[string]string{
		"empty": "", "short": good[:20], "header alone": good[:49], "cut": good[:len(good)-40],
		"unknown kind": "\x03" + good[1:], "text": strings.Repeat("x", 200),
		"cut replaced": "\x02" + good[1:60],
	} {
		require.NoError(t, client.Set(t.Context(), keys[0], text, 0).Err())
		_, err := s.Load(t.Context(), rec.Key, sessions.Peek)
		require.Error(t, err, name)
	}
	for n := range len(good) - len(rec.Data) { // cut within any of its parts
		require.NoError(t, client.Set(t.Context(), keys[0], good[:n], 0).Err())
		_, err := s.Load(t.Context(), rec.Key, sessions.Peek)
		require.Error(t, err, "cut after %d of %d bytes", n, len(good))
	}
}
