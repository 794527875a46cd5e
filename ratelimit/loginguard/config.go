package loginguard

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"golang.org/x/time/rate"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
	"github.com/opsmantik/sallyport/internal/refusal"
	"github.com/opsmantik/sallyport/ratelimit"
)

// Config configures a Guard. New copies it. The zero Config is a sound one for a
// single process, but for DeviceSecret.
type Config struct {
	_ [0]func() // keyed literals only

	// Store keeps the counts: a redislimit.Store where several processes share
	// them. Default: a *ratelimit.Memory of its own, so that a flood of logins
	// takes no place from other limits.
	Store ratelimit.Store
	// MaxKeys is the capacity of that memory, as in ratelimit.MemoryConfig.
	// Default 100,000.
	MaxKeys int

	// Failures within Window that one address may make on one account before it is
	// banned from that account. Defaults 5 in 15m; at most 100, 24h.
	Failures int
	Window   time.Duration
	// AddressFailures is the same for one address over all accounts, against one
	// password tried on many. Offices share addresses, so it is larger. An IPv6
	// /64 counts as one address; a /56 may make 4 times as many, a /48 16 times.
	// Default 4 times Failures; at most 10,000.
	AddressFailures int
	// AccountFailures is how many failures strangers may make on one account, from
	// all addresses together. A tenth of them comes back each hour. Strangers are
	// then told to wait; devices that the account knows are not among them.
	// Default 100 (NIST SP 800-63B-4 section 3.2.2 permits no more in a row); at
	// most 1,000.
	AccountFailures int
	// FactorFailures is how many second factors in a row may be wrong, whatever
	// the addresses, before the account's second factor is paused: for Ban, and
	// twice as long each further time. A right password forgives nothing.
	// Default 10; at most 100.
	FactorFailures int
	// Ban is the first ban. Each further one within a day is twice as long, up
	// to 32 times; a day without forgets one step. Default 30m; 1s to 24h.
	Ban time.Duration
	// MaxDelay bounds Attempt.Delay. Default 5s; at most 1m.
	MaxDelay time.Duration
	// MaxWait is how long Begin waits while as many attempts are under way from an
	// address, or on an account, as could still fail. Default 5s; at most 1m.
	MaxWait time.Duration

	// DeviceSecret makes and recognises the tokens of known devices (Remember), the
	// same in all instances. At least 16 bytes. Without it no device is known, and
	// strangers who guess at an account delay its owner as well.
	DeviceSecret []byte
	// DeviceAge is how long a token is good. Default 180 days; at most 400 days,
	// which is as long as browsers keep a cookie.
	DeviceAge time.Duration

	// OnOutage is as in ratelimit.Policy. Default Closed: nobody signs in while the
	// store is out. Local goes on with what this process knows.
	OnOutage ratelimit.Outage

	// OnEvent, if set, is called once for each Begin and each Succeed and Fail,
	// after it. Event.Actor is the account as it was given: a claim, and personal
	// data. Event.Policy is the track that decided, Event.Detail a Decision.
	OnEvent func(context.Context, sallyport.Event)
	// OnReject, if set, replaces the default problem+json answer of Answer.
	OnReject func(http.ResponseWriter, *http.Request, *sallyport.Refusal)
	// ProblemBase is what the type URIs of problem documents begin with. Default:
	// this project's docs/problems.md.
	ProblemBase string
}

const day = 24 * time.Hour

func (cfg Config) withDefaults() Config {
	set := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	last := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&cfg.Failures, 5)
	set(&cfg.AddressFailures, 4*cfg.Failures)
	set(&cfg.AccountFailures, 100)
	set(&cfg.FactorFailures, 10)
	last(&cfg.Window, 15*time.Minute)
	last(&cfg.Ban, 30*time.Minute)
	last(&cfg.MaxDelay, 5*time.Second)
	last(&cfg.MaxWait, 5*time.Second)
	last(&cfg.DeviceAge, 180*day)
	cfg.DeviceSecret = slices.Clone(cfg.DeviceSecret)
	return cfg
}

func (cfg Config) check(problems *configerr.List) {
	number := func(field string, n, least, most int) {
		if n < least || n > most {
			problems.Add(field, strconv.Itoa(n), sallyport.ConfigOutOfRange,
				"want "+strconv.Itoa(least)+" to "+strconv.Itoa(most))
		}
	}
	span := func(field string, d, least, most time.Duration) {
		if d < least || d > most {
			problems.Add(field, d.String(), sallyport.ConfigOutOfRange,
				"want "+least.String()+" to "+most.String())
		}
	}
	number("Failures", cfg.Failures, 1, 100)
	number("AddressFailures", cfg.AddressFailures, max(cfg.Failures, 1), 10_000)
	number("AccountFailures", cfg.AccountFailures, max(cfg.Failures, 1), 1000)
	number("FactorFailures", cfg.FactorFailures, 1, 100)
	span("Window", cfg.Window, time.Second, day)
	span("Ban", cfg.Ban, time.Second, day)
	span("MaxDelay", cfg.MaxDelay, 0, time.Minute)
	span("MaxWait", cfg.MaxWait, 0, time.Minute)
	span("DeviceAge", cfg.DeviceAge, time.Minute, 400*day)
	if n := len(cfg.DeviceSecret); n > 0 && n < minSecret {
		problems.Add("DeviceSecret", "", sallyport.ConfigInsecure, "want at least 16 bytes")
	}
	if cfg.OnOutage > ratelimit.Open {
		problems.Add("OnOutage", cfg.OnOutage.String(), sallyport.ConfigUnknown,
			"want Closed, Local or Open")
	}
}

// New returns a Guard, or every problem of the configuration at once, each a
// *[sallyport.ConfigError].
func New(cfg Config) (*Guard, error) {
	problems := configerr.For(gate)
	cfg = cfg.withDefaults()
	cfg.check(problems)
	limiter, err := ratelimit.New(ratelimit.Config{Store: cfg.Store, MaxKeys: cfg.MaxKeys})
	problems.Join(err)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	g := &Guard{
		cfg: cfg, limiter: limiter, table: refusal.NewTable(gate, cfg.ProblemBase, kinds...),
		pace: rate.NewLimiter(strangersPerSecond, strangersPerSecond),
	}
	g.pair = g.newTrack("login-pair", CodeBlocked, cfg.Failures, cfg.Window)
	g.device = g.newTrack("login-device", CodeBlocked, cfg.Failures, cfg.Window)
	g.factor = g.newTrack("login-factor", CodeFactorPaused, cfg.FactorFailures, day)
	for i, tier := range tiers {
		g.tiers[i] = g.newTrack(tier.name, CodeBlocked, cfg.AddressFailures*tier.times, cfg.Window)
	}
	g.account = ratelimit.Policy{
		Name: "login-account", OnOutage: cfg.OnOutage,
		Limit: ratelimit.Limit{
			Count: cfg.AccountFailures, Window: 10 * time.Hour, Burst: cfg.AccountFailures,
		},
	}
	return g, nil
}
