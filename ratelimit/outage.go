package ratelimit

import (
	"context"
	"time"
)

// outageRetry is what a refused client is told while the store is out: long
// enough not to add to the trouble, short enough to find it healed.
const outageRetry = 5 * time.Second

// ask decides by the store and, if it cannot answer, by OnOutage.
func (l *Limiter) ask(ctx context.Context, policies []Policy, results []Result) Decision {
	clear(results) // what a store leaves out refuses; the array was used before
	err := l.store.Take(ctx, policies, results)
	if err == nil {
		l.mirror(policies, results)
		return conclude(policies, results)
	}
	d := l.degrade(ctx, policies, results)
	d.Degraded, d.Err = true, err
	return d
}

// degrade decides without the store. One Closed policy closes the request; a
// caller that has gone away is refused whatever the policies say.
func (l *Limiter) degrade(ctx context.Context, policies []Policy, results []Result) Decision {
	locals := policies[:0]
	for i := range policies {
		p := policies[i]
		switch {
		case ctx.Err() != nil, p.OnOutage == Closed && !p.Shadow:
			return Decision{
				Reason: ReasonUnavailable, Policy: p.Name, Limit: p.Limit, RetryAfter: outageRetry,
			}
		case p.OnOutage == Local:
			l.share(&p)
			locals = append(locals, p)
		}
	}
	if len(locals) == 0 {
		return Decision{Allowed: true}
	}
	_ = l.local.Take(ctx, locals, results[:len(locals)]) // fails on a zero Memory only
	return conclude(locals, results[:len(locals)])
}

// share turns a policy into this process's part of it. A burst that does not
// divide is rounded up: with more instances than units, each may admit one.
func (l *Limiter) share(p *Policy) {
	n := l.instances
	burst := (p.Limit.Capacity() + n - 1) / n
	// The interval is bounded first: the product would overflow.
	p.Limit.Window = min(p.Limit.Interval(), maxWindow/time.Duration(n)+1) * time.Duration(n)
	p.Limit.Burst = burst
	p.Limit.Count = min(p.Limit.Count, 1)
}

// mirror keeps the Local buckets no fuller than this process's share of what
// the store holds, so that an outage does not begin with fresh full buckets.
func (l *Limiter) mirror(policies []Policy, results []Result) {
	for i := range policies {
		if policies[i].OnOutage != Local {
			continue
		}
		p := policies[i]
		l.share(&p)
		l.local.lower(&p, float64(results[i].Remaining)/float64(l.instances))
	}
}

// lower takes from a bucket what it holds above tokens.
func (m *Memory) lower(p *Policy, tokens float64) {
	id := m.id(p)
	s := m.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	t, now := m.now()
	b := s.find(id)
	if b == nil {
		b = s.insert(id, now)
	}
	if b == nil {
		return // the overflow bucket answers for this key, and is strict
	}
	c := p.charge()
	floor := int64((float64(c.capacity) - tokens) * float64(c.interval))
	if floor > b.busy(t, now, &p.Limit, c) {
		b.fullAt = now + floor
		b.rebuild()
	}
}
