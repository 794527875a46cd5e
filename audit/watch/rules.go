package watch

import (
	"fmt"
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit/watch/internal/detect"
)

// month is for how long volume pages nobody: the base needs its weeks.
const month = 28 * 24 * 60

// company is how long ago something must have been wrong for volume to page.
const company = 10 * time.Minute

func tickOf(minute time.Time) detect.Tick { return detect.At(minute, time.Minute) }

// series is a Series and what is known of it, for each tenant.
type series struct {
	Series
	counters []counter
	volumes  []detect.Volume
	last     []float64 // counts of the minute that is judged
	top      *table
}

// refusals are wrong by themselves; they are judged before what needs company.
func (s *series) refusals() bool { return s.Match.Outcome == Refused }

func (s *series) count(e *Engine, ev *sallyport.Event, tenant int) {
	if !s.PerTenant {
		tenant = 0
	}
	s.counters[tenant].n.Add(1)
	if s.top == nil {
		return
	}
	if k, ok := e.keyOf(s.Top, ev, s.Top != Actor); ok {
		s.top.pour(k, e.second.Load(), 0, func(b *bucket) { b.level++ })
	}
}

func (e *Engine) tenantName(s *series, i int) string {
	switch {
	case !s.PerTenant:
		return ""
	case i == 0:
		return "other"
	}
	return e.names[i]
}

func (e *Engine) judgeSeries(s *series, t detect.Tick, now time.Time) {
	for i := range s.volumes {
		v, tenant := &s.volumes[i], e.tenantName(s, i)
		if e.isExpected(s.Name, tenant, now) {
			v.Gap()
			continue
		}
		x := s.last[i]
		v.Step(t, x)
		if s.refusals() && v.Rises() {
			e.lastBad = now
		}
		alert := Alert{
			Rule: s.Name, Tenant: tenant, Tier: Notice, Seen: x, Usual: v.Expected, Hint: s.Hint,
		}
		if v.Rises() {
			alert.Code, alert.Condition = CodeRise, e.explain(v, x, "more")
			if v.Page.Alarm && e.mayPage(s, v, now) {
				alert.Tier = Page
			}
			if s.top != nil {
				alert.Top = s.top.top(5)
			}
			e.raise(now, alert)
		}
		if v.Stop.Alarm {
			alert.Code, alert.Condition = CodeStop, e.explain(v, x, "less")
			if e.mayPage(s, v, now) {
				alert.Tier = Page
			}
			e.raise(now, alert)
		}
	}
}

// mayPage: not in the first month, and volume only in bad company.
func (e *Engine) mayPage(s *series, v *detect.Volume, now time.Time) bool {
	return v.Age >= month && (s.Alone || s.refusals() ||
		!e.lastBad.IsZero() && now.Sub(e.lastBad) <= company)
}

func (e *Engine) explain(v *detect.Volume, x float64, than string) string {
	return fmt.Sprintf("%.0f a minute; at this time of the week there are usually about %.1f, "+
		"and it has been %s than that for too long to be chance", x, v.Expected, than)
}

type ratio struct {
	Ratio
	part, whole *series
	tests       []detect.Ratio
}

func (e *Engine) judgeRatio(r *ratio, t detect.Tick, now time.Time) {
	for i := range r.tests {
		tenant := e.tenantName(r.part, i)
		if e.isExpected(r.Name, tenant, now) {
			r.tests[i].Gap()
			continue
		}
		k, n := r.part.last[i], r.whole.last[i]
		d := &r.tests[i]
		d.Step(t, k, n, r.Usual)
		if !d.Page.Alarm && !d.Notice.Alarm {
			continue
		}
		e.lastBad = now
		alert := Alert{
			Code: CodeRatio, Rule: r.Name, Tenant: tenant, Tier: Notice, Seen: k / max(n, 1),
			Usual: d.Usual, Hint: r.Hint,
			Condition: fmt.Sprintf("%.0f of %.0f are %s, %.1f%%; usual are %.1f%%",
				k, n, r.Part, 100*k/max(n, 1), 100*d.Usual),
		}
		if d.Page.Alarm {
			alert.Tier = Page
		}
		if r.part.top != nil {
			alert.Top = r.part.top.top(5)
		}
		e.raise(now, alert)
	}
}

type scenario struct {
	Scenario
	table table
	leak  float64 // per second
}

func newScenario(s Scenario, dropped *atomic.Uint64) *scenario {
	sc := &scenario{Scenario: s, leak: 1 / s.Leak.Seconds()}
	sc.table.dropped = dropped
	if s.Distinct == Nobody {
		return sc
	}
	for i := range sc.table.sets {
		for w := range sc.table.sets[i].ways {
			sc.table.sets[i].ways[w].recent = make([]uint64, s.Capacity)
		}
	}
	return sc
}

func (s *scenario) pour(e *Engine, ev *sallyport.Event, tenant int) {
	k, ok := e.keyOf(s.Per, ev, s.Show)
	if !ok {
		return
	}
	var distinct uint64
	if s.Distinct != Nobody {
		d, ok := e.keyOf(s.Distinct, ev, false)
		if !ok {
			return
		}
		distinct = d.hash
	}
	now := e.second.Load()
	s.table.pour(k, now, s.leak, func(b *bucket) {
		b.add(distinct, now)
		if b.level > float64(s.Capacity) {
			e.fire(firing{
				scenario: s, label: b.label, tenant: tenant, since: b.since, poured: b.poured,
			})
			b.level, b.poured = float64(s.Capacity)/2, 0
		}
	})
}

// scenariosFired turns what Observe has left into alerts.
func (e *Engine) scenariosFired(now time.Time) {
	for {
		select {
		case f := <-e.fired:
			if f.scenario != nil {
				e.overflowed(f, now)
			} else {
				e.novel(f, now)
			}
		default:
			return
		}
	}
}

func (e *Engine) overflowed(f firing, now time.Time) {
	s := f.scenario
	if e.isExpected(s.Name, "", now) {
		return
	}
	e.lastBad = now
	what := "events"
	if s.Distinct != Nobody {
		what = "different values"
	}
	alert := Alert{
		Code: CodeScenario, Rule: s.Name, Tier: Notice,
		Seen: float64(f.poured), Usual: float64(s.Capacity), Hint: s.Hint,
		Condition: fmt.Sprintf("more than %d %s at once, of which one is forgiven every %v",
			s.Capacity, what, s.Leak),
	}
	if f.since > 0 { // else it began before the first Advance
		alert.Since = time.Unix(f.since, 0).In(now.Location())
	}
	if s.Page {
		alert.Tier = Page
	}
	if s.Per != All {
		alert.Key = f.label.String()
	}
	e.raise(now, alert)
}

// maxSeen bounds what a novelty remembers.
const maxSeen = 2048

type novelty struct {
	Novelty
	seen [2 * maxSeen]atomic.Uint64 // hashes
	n    atomic.Int64

	mu     sync.Mutex
	values []string // for the snapshot
}

// see notes a value, and fires if it is new.
func (n *novelty) see(e *Engine, ev *sallyport.Event, tenant int) {
	value := ""
	if n.Value != nil {
		value = n.Value(*ev)
	} else {
		switch n.By {
		case Actor:
			value = ev.Actor
		case Tenant:
			value = ev.Tenant
		case Policy:
			value = ev.Policy
		case Origin:
			if ev.Request != nil {
				value = ev.Request.Header.Get("Origin")
			}
		}
	}
	if value == "" || !n.add(maphash.String(e.seed, value)|1) {
		return
	}
	n.mu.Lock()
	n.values = append(n.values, value)
	n.mu.Unlock()
	e.fire(firing{novelty: n, label: e.text(value, true).label, tenant: tenant})
}

// add reports whether a hash is new, and remembers it while there is room.
func (n *novelty) add(hash uint64) bool {
	for i := range uint64(16) {
		at := &n.seen[(hash+i)%uint64(len(n.seen))]
		for {
			switch old := at.Load(); {
			case old == hash:
				return false
			case old != 0:
			case n.n.Load() >= maxSeen:
				return false
			case at.CompareAndSwap(0, hash):
				n.n.Add(1)
				return true
			default:
				continue // somebody took the place: look again
			}
			break
		}
	}
	return false
}

func (e *Engine) novel(f firing, now time.Time) {
	n := f.novelty
	if now.Sub(e.started) < n.Learn || e.isExpected(n.Name, e.names[f.tenant], now) {
		return
	}
	alert := Alert{
		Code: CodeNovelty, Rule: n.Name, Tenant: e.names[f.tenant], Key: f.label.String(),
		Tier: Notice, Seen: 1, Hint: n.Hint, Condition: "this was never seen here before",
	}
	if n.Page {
		alert.Tier = Page
	}
	e.raise(now, alert)
}

// stale is how old the value of a gauge may be.
const stale = 5 * time.Minute

type gauge struct {
	Gauge
	bits  atomic.Uint64
	at    atomic.Int64 // the second; 0 is never
	since time.Time    // above the limit
}

func (e *Engine) judgeGauges(now time.Time) {
	for _, g := range e.gauges {
		at := g.at.Load()
		if at == 0 {
			at = e.started.Unix()
			g.at.Store(at)
		}
		value := math.Float64frombits(g.bits.Load())
		alert := Alert{
			Code: CodeGauge, Rule: g.Name, Tier: Notice, Seen: value, Usual: g.Limit, Hint: g.Hint,
		}
		switch {
		case now.Sub(time.Unix(at, 0)) > stale:
			alert.Condition = "its value was not set for five minutes"
			e.raise(now, alert)
		case value <= g.Limit:
			g.since = time.Time{}
		case g.since.IsZero():
			g.since = now
			fallthrough
		default:
			if now.Sub(g.since) < g.For || e.isExpected(g.Name, "", now) {
				break
			}
			e.lastBad = now
			alert.Since = g.since
			alert.Condition = fmt.Sprintf("%g, above %g for %v", value, g.Limit,
				now.Sub(g.since).Truncate(time.Second))
			if g.Page {
				alert.Tier = Page
			}
			e.raise(now, alert)
		}
	}
}
