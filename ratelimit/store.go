package ratelimit

import (
	"context"
	"time"
)

// Store keeps buckets. *Memory keeps them in the process; redislimit.Store in
// Redis. Package storetest holds the suite that every implementation passes.
//
// Every method is atomic and safe for concurrent use, and returns an error
// only when it cannot tell: then nothing may be assumed about what was
// charged, and the Limiter decides by each policy's OnOutage.
type Store interface {
	// Take charges all policies, or none. results has the length of policies
	// and is filled even when nothing was charged. Policies are valid, at most
	// MaxPolicies, and their names differ. Cost is taken literally: 0 looks
	// without charging, a negative cost gives back. A Shadow policy is charged
	// when it fits and the others allow, and never refuses.
	//
	// A bucket keeps its time until full under another limit. One that owes more
	// than its present limit can hold counts as empty, and refills from the first
	// time on that it is refused under that limit; under the old one it goes on
	// owing until something is charged.
	Take(ctx context.Context, policies []Policy, results []Result) error

	// Forget makes the buckets of the policies full.
	Forget(ctx context.Context, policies []Policy) error

	// Enter adds token to the holders of a key if fewer than limit hold it, or
	// if token already does: then it renews. The place is free again after
	// lease, should Leave never come. Only Name and Key of the policy count.
	Enter(
		ctx context.Context, p Policy, token string, limit int, lease time.Duration,
	) (entered bool, err error)

	// Leave gives the place of token back.
	Leave(ctx context.Context, p Policy, token string) error
}

// Result is the state of one policy's bucket after a Take.
type Result struct {
	// Fits: the bucket held the cost, whether or not the others let it be
	// charged.
	Fits bool
	// Remaining units, rounded down.
	Remaining int
	// Reset is the time until the bucket is full.
	Reset time.Duration
	// RetryAfter is the time until the bucket will hold the cost; 0 if it fits.
	RetryAfter time.Duration
	// Shared: the store had no place for this key, and answered from a bucket
	// that all such keys share. It says nothing about this one in particular.
	Shared bool
}

// admits reports whether every policy that may refuse has room.
func admits(policies []Policy, results []Result) bool {
	for i := range results {
		if !results[i].Fits && !policies[i].Shadow {
			return false
		}
	}
	return true
}
