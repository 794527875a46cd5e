package redissession

import "strings"

// NewSkewed is New with a clock that runs ahead by the microseconds under the key
// "skew", so that tests need not wait for half an hour.
func NewSkewed(cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return newStore(cfg, skewed), nil
}

const skewed = " + (redis.call('GET', 'skew') or 0)"

// NewBroken is NewSkewed with a script in which one piece of text is another.
func NewBroken(cfg Config, old, broken string) (s *Store, changed int, err error) {
	if s, err = NewSkewed(cfg); err != nil {
		return nil, 0, err
	}
	for _, sc := range []*script{&s.load, &s.create, &s.replace, &s.user, &s.everyone} {
		if text := strings.ReplaceAll(sc.source, old, broken); text != sc.source {
			*sc = newScript(text)
			changed++
		}
	}
	return s, changed, nil
}

// NewSkewedVisits is NewVisits with that clock.
func NewSkewedVisits(cfg VisitsConfig) (*Visits, error) { return newVisits(cfg, skewed) }
