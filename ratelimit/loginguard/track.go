package loginguard

import (
	"context"
	"net/netip"
	"time"

	"github.com/opsmantik/sallyport/ratelimit"
)

// tiers are the networks that an address is in: what one subscriber holds, what
// one customer may hold, and what one site may hold (RFC 6177). For IPv4 there is
// the first alone.
var tiers = [...]struct {
	name  string
	bits  int
	times int
}{{"login-address", 64, 1}, {"login-56", 56, 4}, {"login-48", 48, 16}}

// track is what leads from failures to a ban: a bucket of failures, one that is
// full unless banned, and one that remembers earlier bans.
type track struct {
	code                 string // of the refusal
	failures, ban, level ratelimit.Policy
}

const (
	maxBanSteps  = 6 // 1, 2, 4, 8, 16, 32 times Ban
	maxBanFactor = 1 << (maxBanSteps - 1)
)

func (g *Guard) newTrack(name, code string, failures int, window time.Duration) track {
	policy := func(name string, limit ratelimit.Limit) ratelimit.Policy {
		return ratelimit.Policy{Name: name, Limit: limit, OnOutage: g.cfg.OnOutage}
	}
	t := track{
		code:     code,
		failures: policy(name, ratelimit.Limit{Count: failures, Window: window, Burst: failures}),
		ban:      policy(name+"-ban", ratelimit.Limit{Count: 1, Window: g.cfg.Ban, Burst: maxBanFactor}),
		level:    policy(name+"-level", ratelimit.Limit{Count: 1, Window: day, Burst: maxBanSteps}),
	}
	t.level.Shadow = true
	return t
}

// on returns the track of one key.
func (t track) on(key ratelimit.Key) track {
	t.failures.Key, t.ban.Key, t.level.Key = key, key, key
	return t
}

// addressTracks returns the tracks of an address, the widest first: a flood ends
// there.
func (g *Guard) addressTracks(addr netip.Addr) []track {
	n := len(tiers)
	if key := ratelimit.AddrKey(addr); key == ratelimit.PrefixKey(addr, 128) {
		n = 1 // IPv4, or one that stands for IPv4: there is nothing around it
	}
	tracks := make([]track, 0, n)
	for i := n - 1; i >= 0; i-- {
		tracks = append(tracks, g.tiers[i].on(ratelimit.PrefixKey(addr, tiers[i].bits)))
	}
	return tracks
}

// state is what is known of a track.
type state struct {
	left    int           // how many failures may come
	retry   time.Duration // how long until one may, if none
	outage  error
	decided bool
}

// look reads a track. It charges nothing and takes no place.
func (g *Guard) look(ctx context.Context, t *track) (s state) {
	policies := [2]ratelimit.Policy{t.ban, t.failures}
	var results [2]ratelimit.Result
	s.outage, s.decided = g.limiter.Take(ctx, policies[:], results[:])
	if !s.decided {
		return s
	}
	if s.retry = results[0].Reset; s.retry > 0 {
		return s
	}
	if s.left = results[1].Remaining; s.left == 0 {
		s.retry = nextUnit(&t.failures, results[1].Reset)
	}
	return s
}

// nextUnit returns the time until an empty bucket holds a unit.
func nextUnit(p *ratelimit.Policy, reset time.Duration) time.Duration {
	one := *p
	one.Cost = 1
	return one.Result(reset).RetryAfter
}

// charge counts one failure and returns how long the key is banned now. A key for
// which the table has no place shares its bucket with others who failed as often,
// or not at all: it is never banned for them.
func (g *Guard) charge(ctx context.Context, t track) time.Duration {
	one := t.failures
	one.Cost = 1
	var results [1]ratelimit.Result
	_, decided := g.limiter.Take(ctx, []ratelimit.Policy{one}, results[:])
	switch r := results[0]; {
	case !decided:
		return 0
	case r.Shared:
		g.crowd()
		return 0
	case r.Remaining > 0:
		return 0
	}
	return g.punish(ctx, t)
}

// punish bans the key of a track, unless it is banned already, and returns for
// how long if this call did it. Failures that end at the same time are one ban:
// the longest is taken first, which fits into an untouched bucket only, and what
// is too much of it then given back.
func (g *Guard) punish(ctx context.Context, t track) time.Duration {
	var results [2]ratelimit.Result
	t.ban.Cost, t.level.Cost = maxBanFactor, 1
	_, decided := g.limiter.Take(ctx, []ratelimit.Policy{t.ban, t.level}, results[:])
	if !decided || !results[0].Fits || results[0].Shared {
		return 0
	}
	steps := max(maxBanSteps-results[1].Remaining, 1)
	if steps < maxBanSteps {
		t.ban.Cost = 1<<(steps-1) - maxBanFactor
		// Should this be lost, the ban is as long as the longest.
		_, _ = g.limiter.Take(ctx, []ratelimit.Policy{t.ban}, results[:1])
	}
	return results[0].Reset
}
