package gates

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/redisreplay"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/redislimit"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/sessions/redissession"
	"github.com/opsmantik/sallyport/sessions/tracker"
)

// stores are what gates remember requests in: in this process, or in Redis for
// several instances.
type stores struct {
	limits     ratelimit.Store // nil: the limiter's own memory
	calls      hmacsig.ReplayStore
	deliveries hmacsig.ReplayStore // apart, so that neither can fill the other's
	sessions   sessions.Store
	visits     tracker.Store
}

// openStores connects to Redis where REDIS_URL is set. A Redis that cannot be
// reached does not keep the server from starting: FAIL_MODE says what happens.
func (g *Gates) openStores() (stores, error) {
	s := g.cfg.Settings
	if s.RedisURL == "" {
		return memoryStores(s)
	}
	secret, err := derive(s, "rate limit keys") // Redis holds no address
	if err != nil {
		return stores{}, err
	}
	client, err := redislimit.NewClient(s.RedisURL)
	if err != nil {
		return stores{}, fmt.Errorf("REDIS_URL: %w", err)
	}
	g.closers = append(g.closers, client.Close)
	limits, err := redislimit.New(redislimit.Config{
		Client: client, Secret: secret,
		OnState: func(err error) {
			if err != nil {
				g.cfg.Log.Error("rate limits: Redis is out", "fail_mode", string(s.FailMode), "error", err)
				return
			}
			g.cfg.Log.Info("rate limits: Redis is back")
		},
	})
	if err != nil {
		return stores{}, fmt.Errorf("REDIS_URL: %w", err)
	}
	g.closers = append(g.closers, limits.Close)
	_, perSite := shares(s)
	replay, err := redisreplay.New(redisreplay.Config{
		Client: client, Prefix: "ingest:replay:", PerKeyID: perSite,
	})
	if err != nil {
		return stores{}, err
	}
	g.closers = append(g.closers, func() error { replay.Close(); return nil })
	signedIn, err := redissession.New(redissession.Config{Client: client, Prefix: "ingest:sessions"})
	if err != nil {
		return stores{}, fmt.Errorf("REDIS_URL: %w", err)
	}
	g.closers = append(g.closers, func() error { signedIn.Close(); return nil })
	visits, err := redissession.NewVisits(redissession.VisitsConfig{Client: client, Prefix: "ingest:visits"})
	if err != nil {
		return stores{}, fmt.Errorf("REDIS_URL: %w", err)
	}
	g.closers = append(g.closers, func() error { visits.Close(); return nil })
	return stores{
		limits: limits, calls: replay, deliveries: replay, sessions: signedIn, visits: visits,
	}, nil
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

func memoryStores(s *settings.Settings) (stores, error) {
	entries, perSite := shares(s)
	calls, err := hmacsig.NewMemoryReplay(hmacsig.MemoryConfig{Entries: entries, PerKeyID: perSite})
	if err != nil {
		return stores{}, err
	}
	deliveries, err := hmacsig.NewMemoryReplay(hmacsig.MemoryConfig{})
	if err != nil {
		return stores{}, err
	}
	// A restart signs everybody out.
	signedIn, err := sessions.NewMemory(sessions.MemoryConfig{MaxSessions: 100_000})
	if err != nil {
		return stores{}, err
	}
	visits, err := tracker.NewMemory(tracker.MemoryConfig{MaxVisits: 100_000})
	return stores{calls: calls, deliveries: deliveries, sessions: signedIn, visits: visits}, err
}
