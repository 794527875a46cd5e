package ratelimit

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
	"github.com/opsmantik/sallyport/internal/refusal"
)

// Config configures a Limiter. New copies it.
type Config struct {
	_ [0]func() // keyed literals only

	// Policies are what Check and Wrap apply, each made from the request: at
	// most MaxPolicies. A Limiter used through Decide alone needs none.
	//
	//	ratelimit.PerAddress("address", ratelimit.PerMinute(600)) // needs clientaddr in front
	//	func(r *http.Request) ratelimit.Policy { ... }            // any other key
	//	nil                                                       // refused
	Policies []func(*http.Request) Policy

	// Store keeps the buckets. Default: a *Memory of its own. Limiters that
	// share a store share the buckets of equally named policies.
	Store Store
	// MaxKeys is the capacity of the Limiter's own memory, as in MemoryConfig:
	// all buckets without a Store, the Local mirror with one. Default 100,000.
	MaxKeys int
	// Instances is how many processes share the Store: the Local mirror
	// admits this fraction of each limit. Default 1; at most 2^30.
	Instances int

	// LegacyHeaders adds X-RateLimit-Limit, -Remaining and -Reset (seconds).
	LegacyHeaders bool
	// HideBudget sends no RateLimit fields at all; Retry-After stays. Set it
	// where the budget tells an attacker how far to go.
	HideBudget bool
	// RetryJitter adds a random wait below it to Retry-After, so that refused
	// clients do not return in one wave. Default 0, at most 1h.
	RetryJitter time.Duration

	// OnEvent, if set, is called once per decision, allow and refuse, after it
	// is made: also for Decide and Acquire, which have no request. Event.Detail
	// is the Decision, Event.Tenant that of the first key that has one.
	OnEvent func(context.Context, sallyport.Event)
	// OnReject, if set, replaces the default problem+json answer. RateLimit
	// fields and Retry-After are already set; Refusal.Write sends the default
	// answer. Refusal.Detail is the Decision.
	OnReject func(http.ResponseWriter, *http.Request, *sallyport.Refusal)
	// ProblemBase is what the type URIs of problem documents begin with.
	// Default: this project's docs/problems.md.
	ProblemBase string
}

// New returns a Limiter, or every problem of the configuration at once, each a
// *[sallyport.ConfigError].
func New(cfg Config) (*Limiter, error) {
	problems := configerr.For(gate)
	problems.Join(checkPolicies(cfg.Policies))
	checkMaxKeys(problems, cfg.MaxKeys)
	if cfg.Instances < 0 || cfg.Instances > maxKeysLimit {
		problems.Add("Instances", strconv.Itoa(cfg.Instances), sallyport.ConfigOutOfRange,
			"want 0 to 2^30")
	}
	if cfg.RetryJitter < 0 || cfg.RetryJitter > time.Hour {
		problems.Add("RetryJitter", cfg.RetryJitter.String(), sallyport.ConfigOutOfRange,
			"want 0 to 1h")
	}
	if m, ok := cfg.Store.(*Memory); ok && (m == nil || m.shards == nil) {
		problems.Add("Store", "", sallyport.ConfigRequired, "is the zero Memory; call NewMemory")
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	local, err := NewMemory(MemoryConfig{MaxKeys: cfg.MaxKeys})
	if err != nil {
		return nil, err
	}
	l := &Limiter{
		store:     cfg.Store,
		local:     local,
		instances: max(cfg.Instances, 1),
		table:     refusal.NewTable(gate, cfg.ProblemBase, kinds...),
		look: look{
			legacy: cfg.LegacyHeaders, hide: cfg.HideBudget, jitter: cfg.RetryJitter,
			base: cfg.ProblemBase,
		},
		onEvent:  cfg.OnEvent,
		onReject: cfg.OnReject,
	}
	if l.store == nil {
		l.store = l.local
	}
	l.memory, _ = l.store.(*Memory)
	policies := slices.Clone(cfg.Policies)
	l.policies.Store(&policies)
	return l, nil
}

func checkPolicies(policies []func(*http.Request) Policy) error {
	problems := configerr.For(gate)
	if len(policies) > MaxPolicies {
		problems.Add("Policies", strconv.Itoa(len(policies)), sallyport.ConfigOutOfRange,
			"want at most "+strconv.Itoa(MaxPolicies))
	}
	for i, p := range policies {
		if p == nil {
			problems.Add("Policies["+strconv.Itoa(i)+"]", "", sallyport.ConfigRequired, "is nil")
		}
	}
	return problems.Err()
}
