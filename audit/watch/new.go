package watch

import (
	"hash/maphash"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit/watch/internal/detect"
	"github.com/opsmantik/sallyport/internal/configerr"
)

const (
	maxTenants  = 10_000
	maxDistinct = 64
	// waiting is how many findings wait for the next second, and notifications for
	// their delivery.
	waiting = 256
)

// New makes an engine that watches nothing yet: start [Engine.Run]. It reports all
// problems of the configuration at once, each a [sallyport.ConfigError].
func New(cfg Config) (*Engine, error) {
	if cfg.Location == nil {
		cfg.Location = time.UTC
	}
	if cfg.Address == nil {
		cfg.Address = peer
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	e := &Engine{
		cfg: cfg, seed: maphash.MakeSeed(), byCode: map[string]*plan{}, rest: &plan{},
		tenants: map[string]int{}, names: []string{""}, gauges: map[string]*gauge{},
		fired: make(chan firing, waiting), queue: make(chan []Alert, waiting),
		alerts: map[string]*Alert{}, expected: map[string]time.Time{},
	}
	for _, name := range cfg.Tenants {
		e.tenants[name] = len(e.names)
		e.names = append(e.names, name)
	}
	e.open()
	e.compile()
	e.minutes, e.layout = make(chan counted, lateMinutes), e.layoutOf()
	return e, e.restore(cfg.State)
}

// open makes what the rules count in.
func (e *Engine) open() {
	byName := map[string]*series{}
	for _, s := range e.cfg.Series {
		n := 1
		if s.PerTenant {
			n = len(e.names)
		}
		made := &series{
			Series: s, counters: make([]counter, n), volumes: make([]detect.Volume, n),
			last: make([]float64, n),
		}
		if s.Top != Nobody {
			// Who contributes is a sample: what it misses is no loss.
			made.top = &table{dropped: new(atomic.Uint64)}
		}
		e.series = append(e.series, made)
		byName[s.Name] = made
	}
	for _, r := range e.cfg.Ratios {
		part, whole := byName[r.Part], byName[r.Whole]
		e.ratios = append(e.ratios, &ratio{r, part, whole, make([]detect.Ratio, len(part.volumes))})
	}
	for _, s := range e.cfg.Scenarios {
		e.scenarios = append(e.scenarios, newScenario(s, &e.dropped))
	}
	for _, n := range e.cfg.Novelties {
		e.novelties = append(e.novelties, &novelty{Novelty: n})
	}
	for _, g := range e.cfg.Gauges {
		e.gauges[g.Name] = &gauge{Gauge: g}
	}
}

// compile resolves which rules a code concerns, so that Observe need not ask them all.
func (e *Engine) compile() {
	var codes []string
	for _, m := range e.cfg.matches() {
		codes = append(codes, m.Codes...)
	}
	for _, code := range codes {
		e.byCode[code] = e.planFor(func(m Match) bool {
			return len(m.Codes) == 0 || slices.Contains(m.Codes, code)
		})
	}
	e.rest = e.planFor(func(m Match) bool { return len(m.Codes) == 0 })
}

func (e *Engine) planFor(concerns func(Match) bool) *plan {
	p := &plan{}
	for _, s := range e.series {
		if concerns(s.Match) {
			p.series = append(p.series, s)
		}
	}
	for _, s := range e.scenarios {
		if concerns(s.Match) {
			p.scenarios = append(p.scenarios, s)
		}
	}
	for _, n := range e.novelties {
		if concerns(n.Match) {
			p.novelties = append(p.novelties, n)
		}
	}
	return p
}

// matches are those of all rules.
func (c *Config) matches() (all []Match) {
	for _, s := range c.Series {
		all = append(all, s.Match)
	}
	for _, s := range c.Scenarios {
		all = append(all, s.Match)
	}
	for _, n := range c.Novelties {
		all = append(all, n.Match)
	}
	return all
}

func (c *Config) validate() error {
	problems := configerr.For(gate)
	names := map[string]bool{}
	name := func(field, s string) {
		switch {
		case s == "":
			problems.Add(field+".Name", "", sallyport.ConfigRequired, "name the rule")
		case names[s]:
			problems.Add(field+".Name", s, sallyport.ConfigDuplicate, "give each rule its own name")
		}
		names[s] = true
	}
	for i, s := range c.Series {
		name(at("Series", i), s.Name)
		c.checkMatch(problems, at("Series", i), s.Match)
	}
	for i, r := range c.Ratios {
		name(at("Ratios", i), r.Name)
		c.checkRatio(problems, at("Ratios", i), r)
	}
	for i, s := range c.Scenarios {
		name(at("Scenarios", i), s.Name)
		c.checkMatch(problems, at("Scenarios", i), s.Match)
		c.checkScenario(problems, at("Scenarios", i), s)
	}
	for i, n := range c.Novelties {
		name(at("Novelties", i), n.Name)
		c.checkMatch(problems, at("Novelties", i), n.Match)
		if n.Value == nil && (n.By == Nobody || n.By == All || n.By == Address) {
			problems.Add(at("Novelties", i)+".By", "", sallyport.ConfigRequired,
				"want Actor, Tenant, Policy or Origin, or a Value")
		}
	}
	for i, g := range c.Gauges {
		name(at("Gauges", i), g.Name)
	}
	if len(c.Tenants) > maxTenants {
		problems.Add("Tenants", strconv.Itoa(len(c.Tenants)), sallyport.ConfigOutOfRange,
			"name at most 10,000; the others are counted together")
	}
	return problems.Err()
}

func at(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }

func (c *Config) checkMatch(problems *configerr.List, field string, m Match) {
	for _, code := range m.Codes {
		if len(c.Codes) > 0 && !slices.Contains(c.Codes, code) {
			problems.Add(field+".Match.Codes", code, sallyport.ConfigUnknown,
				"no gate has this code, so the rule could never fire")
		}
	}
}

func (c *Config) checkRatio(problems *configerr.List, field string, r Ratio) {
	find := func(name string) int {
		return slices.IndexFunc(c.Series, func(s Series) bool { return s.Name == name })
	}
	part, whole := find(r.Part), find(r.Whole)
	switch {
	case part < 0:
		problems.Add(field+".Part", r.Part, sallyport.ConfigUnknown, "name one of Series")
	case whole < 0:
		problems.Add(field+".Whole", r.Whole, sallyport.ConfigUnknown, "name one of Series")
	case c.Series[part].PerTenant != c.Series[whole].PerTenant:
		problems.Add(field+".Part", r.Part, sallyport.ConfigConflict,
			"count both series per tenant, or neither")
	}
	if r.Usual <= 0 || r.Usual >= 1 {
		problems.Add(field+".Usual", strconv.FormatFloat(r.Usual, 'g', -1, 64),
			sallyport.ConfigOutOfRange, "want a share between 0 and 1, such as 0.01")
	}
}

func (c *Config) checkScenario(problems *configerr.List, field string, s Scenario) {
	if s.Per == Nobody {
		problems.Add(field+".Per", "", sallyport.ConfigRequired, "say whose bucket it is, or All")
	}
	if s.Capacity < 0 || s.Distinct != Nobody && (s.Capacity < 1 || s.Capacity > maxDistinct) {
		problems.Add(field+".Capacity", strconv.Itoa(s.Capacity), sallyport.ConfigOutOfRange,
			"want 0 for an alert at the first event, or more; with Distinct 1 to 64")
	}
	if s.Leak < time.Second || s.Leak > 24*time.Hour {
		problems.Add(field+".Leak", s.Leak.String(), sallyport.ConfigOutOfRange,
			"want one second to one day")
		return
	}
	for _, l := range c.Limits {
		if l.bars(s) {
			problems.Add(field+".Capacity", strconv.Itoa(s.Capacity), sallyport.ConfigConflict,
				"the service lets "+strconv.Itoa(l.Events)+" within "+l.Within.String()+
					" through, so the bucket can never overflow; lower Capacity or raise Leak")
		}
	}
}

// bars reports whether nothing that the limit lets through can make the bucket overflow:
// all at once is too little, and it refills no faster than the bucket leaks.
func (l Limit) bars(s Scenario) bool {
	if l.Per != s.Per && l.Per != All || l.Within <= 0 || len(s.Match.Codes) == 0 {
		return false
	}
	for _, code := range s.Match.Codes {
		if !slices.Contains(l.Codes, code) {
			return false // more may come with this one
		}
	}
	return l.Events <= s.Capacity &&
		float64(l.Events)/l.Within.Seconds() <= 1/s.Leak.Seconds()
}
