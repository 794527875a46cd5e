//go:build unix

package audit_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/pgaudit"
	"github.com/opsmantik/sallyport/audit/privacy"
	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/tenancy/envelope"
)

// filesWith counts the files below dir in which a text is.
func filesWith(t *testing.T, dir, text string) (n int) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(text)) {
			n++
		}
		return err
	}))
	return n
}

// What was sealed is in no file of Postgres: not in tables, indexes, the write-ahead log
// or free pages, neither before the erasure nor after it.
func TestPostgresHasNoPlaintext(t *testing.T) {
	t.Parallel()
	const phone = "+49 151 23456789"
	server := loopback.StartPostgres(t)
	db, err := pgxpool.New(t.Context(), server.DSN)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	schema, err := pgaudit.Schema(pgaudit.Roles{App: "app", Sequencer: "seq", Auditor: "aud"})
	require.NoError(t, err)
	_, err = db.Exec(t.Context(), `CREATE ROLE app; CREATE ROLE seq; CREATE ROLE aud;`+schema)
	require.NoError(t, err)
	log, err := pgaudit.New(t.Context(), pgaudit.Config{Pool: db})
	require.NoError(t, err)
	kek, err := envelope.LocalKEK(filepath.Join(t.TempDir(), "kek"))
	require.NoError(t, err)
	keys, err := envelope.NewMemory(envelope.MemoryConfig{})
	require.NoError(t, err)
	vault, err := envelope.New(envelope.Config{KEK: kek, Store: keys})
	require.NoError(t, err)
	register, err := privacy.New(privacy.Config{
		Store: log, Sealer: sealer{vault}, Actions: []privacy.Action{{
			Name: "calls.junk", Fields: map[string]sallyport.Class{"phone": sallyport.Confidential},
		}},
	})
	require.NoError(t, err)
	by := audit.Ref{Kind: "user", ID: "dpo"}
	for range 50 {
		r, err := register.Prepare(t.Context(), audit.Record{
			Time: time.Now(), Actor: by, Tenant: "s1", Action: "calls.junk",
			Outcome: audit.OutcomeSuccess, Fields: []audit.Field{{Name: "phone", Value: phone}},
		}, "p1")
		require.NoError(t, err)
		_, err = log.Append(t.Context(), r)
		require.NoError(t, err)
	}
	_, err = log.Sequence(t.Context())
	require.NoError(t, err)
	head, err := log.Head(t.Context())
	require.NoError(t, err)
	var export bytes.Buffer
	require.NoError(t, register.Export(t.Context(), &export, privacy.CSV, "s1", "p1", by, "request"))
	require.Equal(t, 50, bytes.Count(export.Bytes(), []byte(phone)))
	_, err = register.Erase(t.Context(), "s1", "p1", by, "request")
	require.NoError(t, err)
	_, err = log.Sequence(t.Context())
	require.NoError(t, err)
	_, err = pgaudit.New(t.Context(), pgaudit.Config{Pool: db, Published: head.Tree()})
	require.NoError(t, err, "it verifies as before")

	var dir string
	require.NoError(t, db.QueryRow(t.Context(), `SHOW data_directory`).Scan(&dir))
	if _, err := os.ReadDir(dir); err != nil {
		t.Skip("the server's files belong to another user")
	}
	_, err = db.Exec(t.Context(), `CHECKPOINT`)
	require.NoError(t, err)
	require.Zero(t, filesWith(t, dir, "23456789"))
	_, err = db.Exec(t.Context(), `CREATE TABLE plain AS SELECT '+49 151 23456789' AS phone; CHECKPOINT`)
	require.NoError(t, err)
	require.Positive(t, filesWith(t, dir, "23456789"), "the search finds what is there")
}
