package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func (s suite) oneTimePasswords(t *testing.T) {
	db := s.fresh(t)
	for _, row := range []struct {
		user string
		step int64
		want bool
	}{{"u", 7, true}, {"u", 7, false}, {"u", 6, false}, {"v", 7, true}, {"u", 8, true}} {
		spent, err := db.SpendTOTP(t.Context(), row.user, row.step, 9)
		require.NoError(t, err)
		require.Equal(t, row.want, spent, "%s, step %d", row.user, row.step)
	}
}

// A clock that jumped a year ahead and came back disables nobody's second factor.
func (s suite) clockJump(t *testing.T) {
	db := s.fresh(t)
	const now, year = 1000, 1000 + 365*24*120
	spend := func(step, latest int64) bool {
		spent, err := db.SpendTOTP(t.Context(), "u", step, latest)
		require.NoError(t, err)
		return spent
	}
	require.True(t, spend(year, year+1))
	require.True(t, spend(now, now+1), "the step of the wrong clock is not believed")
	require.False(t, spend(now, now+1), "this one is")
}

func (s suite) recoveryCodes(t *testing.T) {
	db := s.fresh(t)
	a, b, c := []byte("digest a"), []byte("digest b"), []byte("digest c")
	spend := func(user string, digest []byte) bool {
		spent, err := db.SpendRecovery(t.Context(), user, digest)
		require.NoError(t, err)
		return spent
	}
	require.False(t, spend("u", a))
	require.NoError(t, db.ReplaceRecovery(t.Context(), "u", [][]byte{a, b}))
	require.NoError(t, db.ReplaceRecovery(t.Context(), "v", [][]byte{c}))
	require.True(t, spend("u", a))
	require.False(t, spend("u", a), "each works once")
	require.False(t, spend("u", c), "and for its own user")
	require.NoError(t, db.ReplaceRecovery(t.Context(), "u", [][]byte{a}))
	require.False(t, spend("u", b), "new codes replace the old ones")
	require.True(t, spend("v", c))
}

// Wrong second factors are counted until their owner is told.
func (s suite) wrongFactors(t *testing.T) {
	db := s.fresh(t)
	require.NoError(t, db.FactorFailed(t.Context(), "u", noon))
	require.NoError(t, db.FactorFailed(t.Context(), "u", noon.Add(time.Minute)))
	require.NoError(t, db.FactorFailed(t.Context(), "v", noon))
	n, last, err := db.FactorFailures(t.Context(), "u")
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, noon.Add(time.Minute), last)
	for user, want := range map[string]int{"u": 0, "v": 1, "w": 0} {
		n, _, err = db.FactorFailures(t.Context(), user)
		require.NoError(t, err)
		require.Equal(t, want, n, user)
	}
}
