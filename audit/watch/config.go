package watch

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/opsmantik/sallyport"
)

// Config says what is watched. New copies it. Every rule has a name of its own, which
// alerts and metrics carry.
type Config struct {
	_ [0]func() // keyed literals only; not comparable

	// Series are counted by the minute, and compared with what they usually have.
	Series []Series
	// Ratios compare two series.
	Ratios []Ratio
	// Scenarios count events of one address, actor or tenant.
	Scenarios []Scenario
	// Novelties are what is worth knowing when it happens for the first time.
	Novelties []Novelty
	// Gauges are levels that the service sets: the queue's depth, its lag.
	Gauges []Gauge

	// Tenants are those that [Series.PerTenant] counts one by one; all others are one
	// series, "other". At most 10,000. A tenant costs 8 KiB per such series.
	Tenants []string
	// Limits are those of the service itself. A scenario that can never happen behind
	// them is refused: it would look like protection.
	Limits []Limit
	// Codes, if set, are all codes that the service's gates have: a rule that names
	// another one is refused.
	Codes []string

	// Address names the client of a request. Default: the peer of the connection. Behind
	// a proxy give what the gate of addresses has proved, and never a header.
	Address func(*http.Request) netip.Addr
	// Location is whose days and weeks are meant. Default UTC.
	Location *time.Location
	// State is what [Engine.Snapshot] returned in an earlier process. Rules that it does
	// not know start anew.
	State []byte

	// Merger, if set, makes several instances watch as one: series and ratios are judged
	// by the sum of all, and one instance tells. Scenarios and novelties stay those of each
	// instance. It takes [Engine.Run]. See package rediswatch.
	Merger Merger

	// OnAlert receives what is new: alerts that opened, rose to pages or were resolved,
	// those of one rule together. Run calls it from a goroutine of its own; without Run,
	// Advance calls it, and it must not use the engine. An error is an alert itself.
	OnAlert func(context.Context, []Alert) error
	// OnEvent receives one event per alert that opens. Policy is the name of the rule. It
	// must not wait, nor use the engine.
	OnEvent func(context.Context, sallyport.Event)
	// Record writes a decision of a person to the audit log before it counts. Without
	// it, decisions are not recorded; with an error, they are not made. It must not use the
	// engine, which judges nothing meanwhile.
	Record func(context.Context, Decision) error
}

// Merger brings instances together that have the same rules.
type Merger interface {
	// Sum adds this instance's counts of a minute, and returns those of all instances,
	// once the others have had time to add theirs. Layout tells rules apart: only counts
	// of the same one are summed.
	Sum(ctx context.Context, layout string, minute time.Time, counts []uint64) ([]uint64, error)
	// Claim reports whether this instance is the first that asks about id, within d.
	Claim(ctx context.Context, id string, d time.Duration) (bool, error)
}

// Match says which events are meant. What is empty matches everything.
type Match struct {
	Gate    string
	Codes   []string
	Policy  string
	Outcome Outcome
}

// Outcome is what a gate decided.
type Outcome uint8

// The outcomes.
const (
	Any Outcome = iota
	Allowed
	Refused
)

// Series is one count per minute.
type Series struct {
	Name  string
	Match Match
	// PerTenant counts each of Config.Tenants by itself.
	PerTenant bool
	// Alone lets a rise or stop of this series page by itself. Series of refusals may
	// always; others page only while refusals, a ratio, a scenario or a gauge are
	// alarming too: more visitors are no emergency.
	Alone bool
	// Top remembers who contributes most, for the explanation. Zero: nobody.
	Top Key
	// Hint is the first step of who gets the alert.
	Hint string
}

// Ratio is Part of Whole, both names of series that are counted alike.
type Ratio struct {
	Name, Part, Whole string
	// Usual is what is expected before anything is known: 0.01 is one percent.
	Usual float64
	Hint  string
}

// Key is what distinguishes the buckets of a scenario.
type Key uint8

// The keys.
const (
	Nobody  Key = iota // no key
	All                // one bucket for everything
	Address            // Config.Address
	Actor              // Event.Actor
	Tenant             // Event.Tenant
	Policy             // Event.Policy
	Origin             // the Origin header; for codes that say that it is listed
)

// Scenario alerts when a bucket that leaks overflows. Forty failed sign-ins of one
// address within a few minutes:
//
//	{Name: "guessing", Match: failed, Per: Address, Capacity: 40, Leak: 15 * time.Second}
//
// and spraying, which many addresses share, each with a few tries:
//
//	{Name: "spraying", Match: failed, Per: All, Distinct: Actor, Capacity: 20, Leak: time.Minute}
type Scenario struct {
	Name  string
	Match Match
	Per   Key
	// Distinct counts each value of this key once only. Capacity is then at most 64.
	Distinct Key
	// Capacity is how many events the bucket holds; one more is the alert. One leaks
	// out every Leak.
	Capacity int
	Leak     time.Duration
	// Page pages; else it is a notice.
	Page bool
	// Show puts the key itself into the alert, or, without it, a hash. Leave it off where
	// the key may be what somebody typed.
	Show bool
	Hint string
}

// Limit is what the service lets through: at most Events of these codes per key Within.
type Limit struct {
	Codes  []string
	Per    Key
	Events int
	Within time.Duration
}

// Novelty alerts when a value of By turns up for the first time. At most 2,048 values
// are remembered.
type Novelty struct {
	Name  string
	Match Match
	By    Key
	// Value, if set, takes the place of By: for what is in Event.Detail. An empty string
	// is no value.
	Value func(sallyport.Event) string
	// Learn is how long values are remembered silently, from the first start on.
	Learn time.Duration
	Page  bool
	Hint  string
}

// Gauge is a level that [Engine.Set] sets. It alerts when it is above Limit for For, or
// was not set for five minutes.
type Gauge struct {
	Name  string
	Limit float64
	For   time.Duration
	Page  bool
	Hint  string
}
