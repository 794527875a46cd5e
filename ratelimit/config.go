package ratelimit

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Config configures a Limiter. New copies it.
type Config struct {
	_ [0]func() // keyed literals only

	// Policies are what Check and Wrap apply, each made from the request: at
	// most MaxPolicies. A Limiter used through Decide alone needs none.
	Policies []func(*http.Request) Policy

	// Store keeps the buckets. Default: a *Memory of its own. Limiters that
	// share a store share the buckets of equally named policies.
	Store Store
	// MaxKeys is the capacity of the Limiter's own memory: all buckets without
	// a Store, the Local mirror with one. Default 100,000.
	MaxKeys int
	// Instances is how many processes share the Store: the Local mirror
	// admits this fraction of each limit. Default 1.
	Instances int

	// LegacyHeaders adds X-RateLimit-Limit, -Remaining and -Reset (seconds).
	LegacyHeaders bool
	// HideBudget sends no RateLimit fields at all; Retry-After stays.
	HideBudget bool
	// RetryJitter adds a random wait below it to Retry-After, so that refused
	// clients do not return in one wave. Default 0, at most 1h.
	RetryJitter time.Duration

	// OnDecision, if set, is called once per decision, allow and refuse, after
	// it is made. It takes a context because Decide has no request.
	OnDecision func(context.Context, Decision)
	// OnReject, if set, replaces the default problem+json answer. RateLimit
	// fields are already set; Rejection.Write sends the default answer.
	OnReject func(http.ResponseWriter, *http.Request, *Rejection)
}

// New returns a Limiter, or every problem of the configuration at once.
func New(cfg Config) (*Limiter, error) {
	var errs []error
	if err := checkPolicies(cfg.Policies); err != nil {
		errs = append(errs, err)
	}
	for _, f := range [...]struct {
		name string
		n    int
	}{{"MaxKeys", cfg.MaxKeys}, {"Instances", cfg.Instances}} {
		if f.n < 0 || f.n > 1<<30 {
			errs = append(errs, &ConfigError{f.name, strconv.Itoa(f.n), "want 0 to 2^30"})
		}
	}
	if cfg.RetryJitter < 0 || cfg.RetryJitter > time.Hour {
		errs = append(errs, &ConfigError{"RetryJitter", cfg.RetryJitter.String(), "want 0 to 1h"})
	}
	if m, ok := cfg.Store.(*Memory); ok && (m == nil || m.shards == nil) {
		errs = append(errs, &ConfigError{"Store", "Memory{}", "is the zero value; call NewMemory"})
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	l := &Limiter{
		local:     NewMemory(cfg.MaxKeys),
		instances: max(cfg.Instances, 1),
		look: look{
			legacy: cfg.LegacyHeaders, hide: cfg.HideBudget, jitter: cfg.RetryJitter,
		},
		onDecision: cfg.OnDecision,
		onReject:   cfg.OnReject,
	}
	l.store = cfg.Store
	if l.store == nil {
		l.store = l.local
	}
	l.memory, _ = l.store.(*Memory)
	policies := slices.Clone(cfg.Policies)
	l.policies.Store(&policies)
	return l, nil
}

func checkPolicies(policies []func(*http.Request) Policy) error {
	if len(policies) > MaxPolicies {
		return &ConfigError{"Policies", strconv.Itoa(len(policies)), "want at most 8"}
	}
	for i, p := range policies {
		if p == nil {
			return &ConfigError{"Policies", strconv.Itoa(i), "is nil"}
		}
	}
	return nil
}
