package gates

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"

	"github.com/opsmantik/sallyport/audit/watch"
	"github.com/opsmantik/sallyport/audit/watch/rediswatch"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/redisreplay"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/redislimit"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/sessions/redissession"
	"github.com/opsmantik/sallyport/sessions/tracker"
)

// Memory is what gates remember requests in: in this process, or in Redis for
// several instances. It outlives the gates, which are made anew when settings are
// read again.
type Memory struct {
	limits     ratelimit.Store
	logins     ratelimit.Store
	calls      hmacsig.ReplayStore
	deliveries hmacsig.ReplayStore // apart, so that neither can fill the other's
	sessions   sessions.Store
	visits     tracker.Store
	uploads    *uploads
	merger     watch.Merger // nil in this process

	closers []func() error
}

// OpenMemory connects to Redis where REDIS_URL is set. A Redis that cannot be
// reached does not keep the server from starting: FAIL_MODE says what happens.
func OpenMemory(s *settings.Settings, log *slog.Logger) (*Memory, error) {
	m := &Memory{uploads: &uploads{from: map[netip.Prefix]int{}}}
	open := m.inProcess
	if s.RedisURL != "" {
		open = func(s *settings.Settings) error { return m.inRedis(s, log) }
	}
	if err := open(s); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// Merger brings the watchtowers of several instances together, or is nil.
func (m *Memory) Merger() watch.Merger { return m.merger }

// Close releases what the memory holds, last first.
func (m *Memory) Close() error {
	var errs []error
	for i := len(m.closers) - 1; i >= 0; i-- {
		errs = append(errs, m.closers[i]())
	}
	m.closers = nil
	return errors.Join(errs...)
}

func (m *Memory) inRedis(s *settings.Settings, log *slog.Logger) error {
	secret, err := derive(s, "rate limit keys") // Redis holds no address
	if err != nil {
		return err
	}
	client, err := redislimit.NewClient(s.RedisURL)
	if err != nil {
		return fmt.Errorf("REDIS_URL: %w", err)
	}
	m.closers = append(m.closers, client.Close)
	limits, err := redislimit.New(redislimit.Config{
		Client: client, Secret: secret,
		OnState: func(err error) {
			if err != nil {
				log.Error("rate limits: Redis is out", "fail_mode", string(s.FailMode), "error", err)
				return
			}
			log.Info("rate limits: Redis is back")
		},
	})
	if err != nil {
		return fmt.Errorf("REDIS_URL: %w", err)
	}
	m.closers = append(m.closers, limits.Close)
	_, perSite := shares(s)
	replay, err := redisreplay.New(redisreplay.Config{
		Client: client, Prefix: "ingest:replay:", PerKeyID: perSite,
	})
	if err != nil {
		return err
	}
	m.closers = append(m.closers, func() error { replay.Close(); return nil })
	signedIn, err := redissession.New(redissession.Config{Client: client, Prefix: "ingest:sessions"})
	if err != nil {
		return fmt.Errorf("REDIS_URL: %w", err)
	}
	m.closers = append(m.closers, func() error { signedIn.Close(); return nil })
	visits, err := redissession.NewVisits(redissession.VisitsConfig{Client: client, Prefix: "ingest:visits"})
	if err != nil {
		return fmt.Errorf("REDIS_URL: %w", err)
	}
	m.closers = append(m.closers, func() error { visits.Close(); return nil })
	merger, err := rediswatch.New(rediswatch.Config{Client: client, Prefix: "ingest:watch:"})
	if err != nil {
		return fmt.Errorf("REDIS_URL: %w", err)
	}
	m.closers = append(m.closers, func() error { merger.Close(); return nil })
	m.merger = merger
	m.limits, m.logins, m.calls, m.deliveries = limits, limits, replay, replay
	m.sessions, m.visits = signedIn, visits
	return nil
}

// derive makes a secret for one purpose. All instances share the signing key, so
// they derive the same one.
func derive(s *settings.Settings, purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, []byte(s.CurrentKey), nil, "sallyport ingest: "+purpose, sha256.Size)
}

// A signed call event is remembered for its window of 360 s and 10 s more.
const (
	replayMinutes = 7
	maxReplays    = 4 << 20 // of calls, in this process: 400 MB
)

// shares says how many call events are remembered, and how many of one site. Each
// site has room for what its own rate lets it send, so that none can fill
// another's. Where that is more than fits, a site gets what is free at that
// moment, and always leaves room for one more.
func shares(s *settings.Settings) (entries, perSite int) {
	for _, site := range s.Sites {
		own := replayMinutes*site.RatePerMinute + 1000
		entries, perSite = entries+own, max(perSite, own)
	}
	if entries > maxReplays {
		return maxReplays, 0
	}
	return entries, perSite
}

func (m *Memory) inProcess(s *settings.Settings) error {
	entries, perSite := shares(s)
	var errs [6]error
	m.calls, errs[0] = hmacsig.NewMemoryReplay(hmacsig.MemoryConfig{Entries: entries, PerKeyID: perSite})
	m.deliveries, errs[1] = hmacsig.NewMemoryReplay(hmacsig.MemoryConfig{})
	// A restart signs everybody out.
	m.sessions, errs[2] = sessions.NewMemory(sessions.MemoryConfig{MaxSessions: 100_000})
	m.visits, errs[3] = tracker.NewMemory(tracker.MemoryConfig{MaxVisits: 100_000})
	m.limits, errs[4] = ratelimit.NewMemory(ratelimit.MemoryConfig{})
	// A table of its own: a flood of logins takes no place from other limits.
	m.logins, errs[5] = ratelimit.NewMemory(ratelimit.MemoryConfig{})
	return errors.Join(errs[:]...)
}
