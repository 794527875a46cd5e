package redissession

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

// NewSkewedVisits is NewVisits with that clock.
func NewSkewedVisits(cfg VisitsConfig) (*Visits, error) { return newVisits(cfg, skewed) }
