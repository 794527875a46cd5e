package store

import (
	"context"
	"time"
)

// Factors remembers second factors. How fast they may be tried is the login
// guard's business.
type Factors interface {
	// SpendTOTP records that a user has used a time step. It reports false if
	// that step, or a later one up to latest, was used before: of two requests
	// with one code, one gets in. A step beyond latest was recorded while the
	// clock was wrong, and says nothing.
	SpendTOTP(ctx context.Context, user string, step, latest int64) (spent bool, err error)
	// SpendRecovery uses up a recovery code, by its digest.
	SpendRecovery(ctx context.Context, user string, digest []byte) (spent bool, err error)
	// ReplaceRecovery forgets a user's recovery codes, and keeps these.
	ReplaceRecovery(ctx context.Context, user string, digests [][]byte) error
	// FactorFailed counts a wrong second factor.
	FactorFailed(ctx context.Context, user string, now time.Time) error
	// FactorFailures returns how many were wrong since it was last asked, and
	// when the last of them came.
	FactorFailures(ctx context.Context, user string) (n int, last time.Time, err error)
}
