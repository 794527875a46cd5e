package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/examples/ingest/store/storetest"
)

func withCall(t *testing.T, dir string) *sqlite.DB {
	t.Helper()
	db := open(t, dir, sqlite.Full)
	_, err := db.Store(t.Context(), []event.Received{
		{ID: "c1", Site: site, At: noon, Call: &event.Call{EventID: "e", Site: site}},
	})
	require.NoError(t, err)
	return db
}

func act(name string) store.Act {
	return store.Act{Name: name, Call: "c1"}
}

// exec changes the file behind the server's back.
func exec(t *testing.T, dir, statement string) {
	t.Helper()
	raw, err := sql.Open("sqlite", filepath.Join(dir, "sallyport.db"))
	require.NoError(t, err)
	_, err = raw.ExecContext(t.Context(), statement)
	require.NoError(t, err)
	require.NoError(t, raw.Close())
}

func TestActionDoesNotHappenUnlessItsRecordDoes(t *testing.T) {
	t.Parallel()
	for name, sabotage := range map[string]string{
		"no log":     `DROP TABLE call_actions; DROP TABLE audit_log`,
		"no head":    `DROP TABLE audit_head`,
		"no actions": `DROP TABLE call_actions`,
		"bad head":   `INSERT INTO audit_head VALUES (1, 'x')`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			db := withCall(t, dir)
			exec(t, dir, sabotage)
			_, err := db.Act(t.Context(), storetest.Scope(t, "admin", site), act("seal"))
			require.Error(t, err)
			rows, err := db.Calls(t.Context(), storetest.Scope(t, "admin", site), 10)
			require.NoError(t, err)
			require.Equal(t, "intent", rows[0].Status)
		})
	}
}

func TestRefusedActionLeavesNoRecord(t *testing.T) {
	t.Parallel()
	db := withCall(t, t.TempDir())
	_, err := db.Act(t.Context(), storetest.Scope(t, "admin", site), act("undo"))
	require.ErrorIs(t, err, store.ErrCallState)
	_, err = db.Act(t.Context(), storetest.Scope(t, "admin", "another"), act("seal"))
	require.ErrorIs(t, err, store.ErrNoCall)
	head, err := db.VerifyAudit(t.Context())
	require.NoError(t, err)
	require.Zero(t, head.Size())
}

func TestOneOfManyRivalsSeals(t *testing.T) {
	t.Parallel()
	db := withCall(t, t.TempDir())
	var wg sync.WaitGroup
	results := make([]error, 50)
	for i := range results {
		wg.Go(func() { _, results[i] = db.Act(t.Context(), storetest.Scope(t, "admin", site), act("seal")) })
	}
	wg.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
			continue
		}
		require.ErrorIs(t, err, store.ErrCallState)
	}
	require.Equal(t, 1, won)
	head, err := db.VerifyAudit(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, head.Size())
}

func TestVerifyAuditSeesOneMoment(t *testing.T) {
	t.Parallel()
	db := withCall(t, t.TempDir())
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for name := "seal"; ; name = map[string]string{"seal": "undo", "undo": "seal"}[name] {
			select {
			case <-stop:
				return
			default:
				_, _ = db.Act(t.Context(), storetest.Scope(t, "admin", site), act(name))
			}
		}
	})
	for range 200 {
		_, err := db.VerifyAudit(t.Context())
		require.NoError(t, err)
	}
	close(stop)
	wg.Wait()
}

func TestVerifyAuditFindsTampering(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"edited":    `UPDATE audit_log SET entry = CAST(replace(CAST(entry AS TEXT), 'admin', 'rival') AS BLOB) WHERE seq = 1`,
		"deleted":   `DELETE FROM call_actions WHERE audit_seq = 1; DELETE FROM audit_log WHERE seq = 1`,
		"truncated": `DELETE FROM call_actions WHERE audit_seq = 2; DELETE FROM audit_log WHERE seq = 2`,
		"inserted":  `INSERT INTO audit_log SELECT 3, entry, site_id FROM audit_log WHERE seq = 0`,
		"no head":   `DELETE FROM audit_head`,
		// The tables that say what the log says.
		"action deleted":    `DELETE FROM call_actions WHERE audit_seq = 1`,
		"action edited":     `UPDATE call_actions SET actor = 'rival' WHERE audit_seq = 1`,
		"action elsewhere":  `UPDATE call_actions SET site_id = 'another' WHERE audit_seq = 1`,
		"status edited":     `UPDATE calls SET status = 'sealed'`,
		"status taken back": `UPDATE calls SET status = 'intent'`,
		"call deleted":      `DELETE FROM calls`,
		"filed elsewhere":   `UPDATE audit_log SET site_id = 'another' WHERE seq = 1`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			db := withCall(t, dir)
			for _, name := range []string{"seal", "undo", "junk"} {
				_, err := db.Act(t.Context(), storetest.Scope(t, "admin", site), act(name))
				require.NoError(t, err)
			}
			_, err := db.VerifyAudit(t.Context())
			require.NoError(t, err)
			exec(t, dir, change)
			_, err = db.VerifyAudit(t.Context())
			require.ErrorIs(t, err, audit.ErrTampered)
		})
	}
}
