package rls_test

import (
	"testing"

	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/tenancy/rls"
	"github.com/stretchr/testify/require"
)

var plan = rls.Plan{
	Role: "app", Key: sealKey,
	A: rls.Tenant{Site: "site-a", User: "user-a"}, B: rls.Tenant{Site: "site-b", User: "user-b"},
}

// empty takes out the rows of the fixture, whose keys the prover would choose too.
const empty = "; delete from s.t; delete from s.m"

func outcomes(t *testing.T, verdicts []rls.Verdict) map[string]rls.Outcome {
	t.Helper()
	found := map[string]rls.Outcome{}
	for _, v := range verdicts {
		t.Log(v.Outcome, v.Object, v.Reason, v.Attack)
		found[v.Object] = v.Outcome
	}
	return found
}

// TestProverProvesWhatIsRight: the rig of the generators, object by object.
func TestProverProvesWhatIsRight(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	verdicts, err := rls.Prove(t.Context(), g.admin, plan)
	require.NoError(t, err)
	require.Equal(t, map[string]rls.Outcome{
		"app.calls": rls.Proven, "app.drafts": rls.Proven, "app.members": rls.Proven,
		"app.group_calls": rls.Proven, "app.sallyport_sites()": rls.Proven,
	}, outcomes(t, verdicts))
	var n int
	require.NoError(t, g.admin.QueryRow(t.Context(), "select count(*) from app.calls").Scan(&n))
	require.Equal(t, 4, n, "everything is rolled back")
}

// TestProverFindsEveryLeak: every mistake that leaks rows is found by attacking.
func TestProverFindsEveryLeak(t *testing.T) {
	t.Parallel()
	dsn := loopback.Postgres(t)
	t.Run("without a mistake", func(t *testing.T) {
		verdicts, err := rls.Prove(t.Context(), fixture(t, dsn, base+empty), plan)
		require.NoError(t, err)
		for object, outcome := range outcomes(t, verdicts) {
			require.Equal(t, rls.Proven, outcome, object)
		}
	})
	oracles := map[string]bool{"unique over tenants": true, "foreign key over tenants": true, "truncate": true}
	for _, row := range mistakes {
		if row.leak == "" || oracles[row.name] {
			continue
		}
		t.Run(row.name, func(t *testing.T) {
			admin := fixture(t, dsn, base+row.sql+empty)
			verdicts, err := rls.Prove(t.Context(), admin, plan)
			require.NoError(t, err)
			var leaks int
			for _, outcome := range outcomes(t, verdicts) {
				if outcome == rls.Leak {
					leaks++
				}
			}
			require.Positive(t, leaks)
		})
	}
}
