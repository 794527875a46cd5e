package watch

import (
	"context"
	"hash/maphash"
	"math"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/clock"
)

// Engine watches events. Make one with [New], hand it every gate's events, and [Run]
// it. A nil Engine watches nothing.
//
// [Run]: https://pkg.go.dev/github.com/opsmantik/sallyport/audit/watch#Engine.Run
type Engine struct {
	cfg     Config
	seed    maphash.Seed
	byCode  map[string]*plan
	rest    *plan
	tenants map[string]int // from 1; 0 is every other
	names   []string       // of tenants, by that index

	series    []*series
	ratios    []*ratio
	scenarios []*scenario
	novelties []*novelty
	gauges    map[string]*gauge

	second  atomic.Int64 // now, as of the last Advance
	dropped atomic.Uint64
	fired   chan firing
	queue   chan []Alert
	running atomic.Bool
	minutes chan counted // for the Merger
	layout  string

	mu        sync.Mutex // of everything below
	alerts    map[string]*Alert
	news      []*Alert
	expected  map[string]time.Time
	started   time.Time // of the first process; novelties learn from it
	minute    time.Time // the one that is running
	partial   bool      // it began before we did
	lastBad   time.Time // when refusals, a ratio, a scenario or a gauge alarmed
	lastDrops uint64
	failed    error // of OnAlert
	delivered time.Time
}

// firing is what Observe has to say. It must not wait for anybody.
type firing struct {
	scenario *scenario
	novelty  *novelty
	label    label
	tenant   int
	since    int64
	poured   uint64
}

// counted is a minute of this instance.
type counted struct {
	minute time.Time
	counts []uint64
}

// counter is alone on its cache line: two cores count different series.
type counter struct {
	n atomic.Uint64
	_ [56]byte
}

// plan is what events of a code concern.
type plan struct {
	series    []*series
	scenarios []*scenario
	novelties []*novelty
}

func (m *Match) fits(e *sallyport.Event) bool {
	return (m.Gate == "" || m.Gate == e.Gate) && (m.Policy == "" || m.Policy == e.Policy) &&
		(m.Outcome == Any || (m.Outcome == Allowed) == e.Allowed)
}

// Observe takes one event: it is made to be an OnEvent. It allocates nothing and waits
// for nobody; what it cannot note at once is counted in [Health.Dropped].
func (e *Engine) Observe(_ context.Context, ev sallyport.Event) {
	if e == nil || ev.Gate == gate {
		return
	}
	p := e.byCode[ev.Code]
	if p == nil {
		p = e.rest
	}
	tenant := 0
	if len(e.tenants) > 0 {
		tenant = e.tenants[ev.Tenant]
	}
	for _, s := range p.series {
		if s.Match.fits(&ev) {
			s.count(e, &ev, tenant)
		}
	}
	for _, s := range p.scenarios {
		if s.Match.fits(&ev) {
			s.pour(e, &ev, tenant)
		}
	}
	for _, n := range p.novelties {
		if n.Match.fits(&ev) {
			n.see(e, &ev, tenant)
		}
	}
}

// fire queues what Observe found for the next Advance.
func (e *Engine) fire(f firing) {
	select {
	case e.fired <- f:
	default:
		e.dropped.Add(1)
	}
}

// keyOf returns the value of a key in an event, if it has one.
func (e *Engine) keyOf(k Key, ev *sallyport.Event, show bool) (key, bool) {
	s := ""
	switch k {
	case All:
		return key{hash: 1}, true
	case Actor:
		s = ev.Actor
	case Tenant:
		s = ev.Tenant
	case Policy:
		s = ev.Policy
	case Origin:
		if ev.Request == nil {
			return key{}, false
		}
		if values := ev.Request.Header["Origin"]; len(values) == 1 {
			s = values[0]
		}
	case Address:
		if ev.Request == nil {
			return key{}, false
		}
		a := e.cfg.Address(ev.Request)
		return e.address(a), a.IsValid()
	}
	if s == "" {
		return key{}, false
	}
	return e.text(s, show), true
}

// peer is the address at the other end of the connection.
func peer(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// Set sets a gauge of the configuration. Others are ignored.
func (e *Engine) Set(name string, value float64) {
	if e == nil {
		return
	}
	if g := e.gauges[name]; g != nil && !math.IsNaN(value) {
		g.bits.Store(math.Float64bits(value))
		g.at.Store(e.second.Load())
	}
}

// Advance moves the engine's clock: it judges the minutes that are over, and tells what
// is new. Run calls it every second; tests and replays call it with a clock of their
// own, before the events of that time.
func (e *Engine) Advance(ctx context.Context, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now = now.In(e.cfg.Location)
	e.second.Store(now.Unix())
	minute := now.Truncate(time.Minute)
	if e.started.IsZero() {
		e.started = now
	}
	if e.minute.IsZero() {
		e.minute, e.partial = minute, true
	}
	e.scenariosFired(now)
	switch passed := minute.Sub(e.minute); {
	case passed <= 0: // or the clock was set back: the minute goes on
	case passed == time.Minute && !e.partial:
		e.close(e.minute, now)
		e.minute = minute
	default:
		e.gap(now, passed)
		e.minute, e.partial = minute, false
	}
	e.settle(ctx, now)
}

// gap leaves minutes out that nobody watched, or not from their beginning.
func (e *Engine) gap(now time.Time, passed time.Duration) {
	for _, s := range e.series {
		for i := range s.counters {
			s.counters[i].n.Store(0)
		}
	}
	e.skip()
	if !e.partial {
		e.raise(now, Alert{
			Code: CodeWatcher, Rule: "gap", Tier: Notice, Seen: passed.Minutes(), Usual: 1,
			Condition: "nothing was watched for " + passed.String() +
				"; traffic of that time was not judged",
		})
	}
}

// skip leaves a minute out.
func (e *Engine) skip() {
	for _, s := range e.series {
		for i := range s.volumes {
			s.volumes[i].Gap()
		}
	}
	for _, r := range e.ratios {
		for i := range r.tests {
			r.tests[i].Gap()
		}
	}
}

// close takes the counts of a minute that is over: to judge them, or to have them
// merged first.
func (e *Engine) close(minute, now time.Time) {
	var counts []uint64
	for _, s := range e.series {
		for i := range s.counters {
			counts = append(counts, s.counters[i].n.Swap(0))
		}
	}
	if e.cfg.Merger == nil {
		e.judge(minute, now, counts)
		return
	}
	select {
	case e.minutes <- counted{minute, counts}:
	default:
		e.unmerged(now, errLate)
	}
}

// judge judges a minute by its counts.
func (e *Engine) judge(minute, now time.Time, counts []uint64) {
	for _, s := range e.series {
		for i := range s.last {
			s.last[i], counts = float64(counts[0]), counts[1:]
		}
	}
	tick := tickOf(minute)
	for _, s := range e.series {
		if s.refusals() {
			e.judgeSeries(s, tick, now)
		}
	}
	for _, r := range e.ratios {
		e.judgeRatio(r, tick, now)
	}
	e.judgeGauges(now)
	for _, s := range e.series {
		if !s.refusals() {
			e.judgeSeries(s, tick, now)
		}
	}
	if minute.Minute()%10 == 0 {
		for _, s := range e.series {
			if s.top != nil {
				s.top.halve()
			}
		}
	}
	e.judgeSelf(now)
}

// isExpected reports whether somebody said that this is planned.
func (e *Engine) isExpected(rule, tenant string, now time.Time) bool {
	until, ok := e.expected[rule+"\x00"+tenant]
	if ok && now.After(until) {
		delete(e.expected, rule+"\x00"+tenant)
		return false
	}
	return ok
}

// judgeSelf is about the watcher: what it lost, and what it could not tell.
func (e *Engine) judgeSelf(now time.Time) {
	if drops := e.dropped.Load(); drops > e.lastDrops {
		e.raise(now, Alert{
			Code: CodeWatcher, Rule: "drops", Tier: Notice, Seen: float64(drops - e.lastDrops),
			Condition: "events could not be noted at once and were left out of scenarios",
		})
		e.lastDrops = drops
	}
	if e.failed != nil {
		e.raise(now, Alert{
			Code: CodeWatcher, Rule: "delivery", Tier: Notice,
			Condition: "alerts could not be delivered: " + e.failed.Error(),
		})
		e.failed = nil
	}
}

// tell hands alerts to OnAlert: at once, or through the queue of Run.
func (e *Engine) tell(ctx context.Context, group []Alert) {
	if e.cfg.OnAlert == nil {
		return
	}
	if !e.running.Load() {
		if err := e.cfg.OnAlert(ctx, group); err != nil {
			e.failed = err
		}
		return
	}
	select {
	case e.queue <- group:
	default:
		e.dropped.Add(1)
	}
}

// Run advances the engine every second and delivers alerts, until ctx ends. It is
// called once.
func (e *Engine) Run(ctx context.Context) {
	e.running.Store(true)
	defer e.running.Store(false)
	var delivery sync.WaitGroup
	defer delivery.Wait()
	delivery.Go(func() { e.deliver(ctx) })
	if e.cfg.Merger != nil {
		delivery.Go(func() { e.merge(ctx) })
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		e.Advance(ctx, time.Now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (e *Engine) deliver(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case group := <-e.queue:
			if group = e.claimed(ctx, group); len(group) == 0 {
				continue
			}
			err := e.cfg.OnAlert(ctx, group)
			e.mu.Lock()
			if err != nil {
				e.failed = err
			} else {
				e.delivered = time.Now()
			}
			e.mu.Unlock()
		}
	}
}

// Health is how the watcher itself is. Whoever watches it from outside wants a Beat that
// is younger than a minute.
type Health struct {
	Beat    time.Time     // the last Advance
	Lag     time.Duration // since then
	Dropped uint64        // events and alerts that were not noted
	Open    int           // alerts
	Pages   int           // of them
	Series  int
}

// Health tells it.
func (e *Engine) Health() Health {
	if e == nil {
		return Health{}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	h := Health{Dropped: e.dropped.Load()}
	if s := e.second.Load(); s != 0 {
		h.Beat = time.Unix(s, 0).UTC()
		h.Lag = max(clock.Elapsed(h.Beat, time.Now()), 0)
	}
	for _, s := range e.series {
		h.Series += len(s.volumes)
	}
	for _, a := range e.alerts {
		if a.Ended.IsZero() {
			h.Open++
			if a.Tier == Page {
				h.Pages++
			}
		}
	}
	return h
}
