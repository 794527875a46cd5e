package redissession

// NewSkewed is New with a clock that runs ahead by the microseconds under the key
// "skew", so that tests need not wait for half an hour.
func NewSkewed(cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return newStore(cfg, " + (redis.call('GET', 'skew') or 0)"), nil
}
