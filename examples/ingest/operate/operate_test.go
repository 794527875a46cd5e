package operate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/operate"
	"github.com/opsmantik/sallyport/examples/ingest/password"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
	"github.com/opsmantik/sallyport/examples/ingest/store"
)

const (
	site   = "0123456789abcdef0123456789abcdef"
	secret = "correct horse battery"
)

// machine is a server's files, as an operator has them.
type machine struct {
	dir     string
	environ []string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{dir: t.TempDir()}
	m.write(t, "sites.json", `[{"id":"`+site+`","name":"Shop","origins":["https://shop.example"],
		"secret":"9f8e7d6c5b4a39281706","rate_per_minute":100,"owner":"u1"}]`)
	m.write(t, "users.json", `[{"id":"u1","email":"ada@shop.example","role":"rep","sites":["`+site+`"],
		"password_hash":"`+password.New(secret).PHC()+`"}]`)
	m.environ = []string{
		"DATA_DIR=" + filepath.Join(m.dir, "data"), "ALLOWED_ORIGINS=https://shop.example",
		"SITES_FILE=" + filepath.Join(m.dir, "sites.json"), "USERS_FILE=" + filepath.Join(m.dir, "users.json"),
		"QSTASH_CURRENT_SIGNING_KEY=sig_7b1f0c9e8d7a6b5c4d3e",
	}
	return m
}

func (m *machine) write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600))
}

func open(ctx context.Context, s *settings.Settings, _ *slog.Logger) (store.Store, store.Queue, error) {
	db, err := sqlite.Open(ctx, s.DataDir, sqlite.Full)
	if err != nil {
		return nil, nil, err
	}
	return db, db, nil
}

// run returns the exit code, and what was printed.
func (m *machine) run(t *testing.T, in string, args ...string) (code int, out string) {
	t.Helper()
	var printed bytes.Buffer
	code, known := operate.Run(t.Context(), &operate.Console{
		In: strings.NewReader(in), Out: &printed, Err: &printed, Environ: m.environ, Open: open,
	}, args)
	require.True(t, known)
	return code, printed.String()
}

func TestFlagsAreTheServers(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"-listen-addr", "127.0.0.1:0"}} {
		_, known := operate.Run(t.Context(), &operate.Console{}, args)
		require.False(t, known)
	}
	m := newMachine(t)
	code, out := m.run(t, "", "serve")
	require.Equal(t, 2, code)
	require.Contains(t, out, "hash-password")
	for _, args := range [][]string{
		{"hash-password", secret},
		{"user"},
		{"user", "add", "a@b"},
		{"backup"},
		{"restore"},
		{"dead"},
		{"dead", "list"},
		{"dead", "show", site},
		{"dead", "sing", site},
		{"check", "all"},
	} {
		code, out := m.run(t, "", args...)
		require.Equal(t, 2, code, args)
		require.Contains(t, out, "usage: ingest "+args[0], args)
		require.NotContains(t, out, secret)
	}
}

func TestHashPassword(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	code, out := m.run(t, secret+"\n", "hash-password")
	require.Equal(t, 0, code, out)
	hash, err := password.Parse(strings.TrimSpace(out))
	require.NoError(t, err)
	require.True(t, hash.Matches(secret))
	for _, short := range []string{"", "fourteen chars", "\n"} {
		code, out := m.run(t, short, "hash-password")
		require.Equal(t, 1, code)
		require.Contains(t, out, "at least 15")
	}
}

func TestAddUser(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	code, out := m.run(t, secret, "user", "add", "bob@shop.example", "admin", site)
	require.Equal(t, 0, code, out)
	require.Contains(t, out, "█", "the code for the app")
	data, err := os.ReadFile(filepath.Join(m.dir, "users.json"))
	require.NoError(t, err)
	var users []settings.User
	require.NoError(t, json.Unmarshal(data, &users))
	require.Len(t, users, 2)
	require.Contains(t, out, users[1].TOTPSecret)
	_, err = settings.Load(nil, m.environ)
	require.NoError(t, err, "the server takes the file")
	info, err := os.Stat(filepath.Join(m.dir, "users.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	code, out = m.run(t, secret, "user", "add", "BOB@shop.example", "rep", site)
	require.Equal(t, 1, code)
	require.Contains(t, out, "already")
	m.write(t, "users.json", `[{"password_hash":"$secret"`)
	code, out = m.run(t, secret, "user", "add", "eve@shop.example", "rep", site)
	require.Equal(t, 1, code)
	require.NotContains(t, out, "$secret")
}

func TestCheckFindsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	code, out := m.run(t, "", "check")
	require.Equal(t, 0, code, out)

	db, err := sqlite.Open(t.Context(), filepath.Join(m.dir, "data"), sqlite.Full)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	require.NoError(t, os.Chmod(filepath.Join(m.dir, "data", sqlite.File), 0o644)) // #nosec G302 -- the mistake
	m.environ = append(m.environ, "REDIS_URL=redis://127.0.0.1:1")
	code, out = m.run(t, "", "check")
	require.Equal(t, 2, code)
	require.Contains(t, out, "chmod go-rwx")
	require.Contains(t, out, "REDIS_URL")

	m.environ = append(m.environ, "ALLOWED_ORIGINS=", "FAIL_MODE=maybe")
	code, out = m.run(t, "", "check")
	require.Equal(t, 2, code)
	require.Contains(t, out, "ALLOWED_ORIGINS")
	require.Contains(t, out, "FAIL_MODE")
}

func record(action string) audit.Record {
	return audit.Record{
		Time: time.Now(), Action: action, Outcome: audit.OutcomeSuccess,
		Actor: audit.Ref{Kind: "user", ID: "u1"}, Target: audit.Ref{Kind: "site", ID: site},
	}
}

// TestBackupAndRestore takes the backup while the server has the folder open, and
// restores it into a new one.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	data, copied := filepath.Join(m.dir, "data"), filepath.Join(m.dir, "backup")
	db, err := sqlite.Open(t.Context(), data, sqlite.Full)
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.Record(t.Context(), record("users.create")))
	require.NoError(t, os.WriteFile(filepath.Join(data, "audit.key"), []byte("key"), 0o600))

	code, out := m.run(t, "", "backup", copied)
	require.Equal(t, 0, code, out)
	require.Contains(t, out, "1 audit records")
	require.NoError(t, db.Record(t.Context(), record("users.delete"))) // not in it
	code, out = m.run(t, "", "backup", copied)
	require.Equal(t, 1, code, "over another backup")
	require.Contains(t, out, "exists")

	code, out = m.run(t, "", "restore", copied)
	require.Equal(t, 1, code, "over a server's data")
	require.Contains(t, out, "not empty")
	m.environ = append(m.environ, "DATA_DIR="+filepath.Join(m.dir, "new"))
	code, out = m.run(t, "", "restore", copied)
	require.Equal(t, 0, code, out)
	require.Contains(t, out, "1 audit records")
	for _, folder := range []string{copied, filepath.Join(m.dir, "new")} {
		entries, err := os.ReadDir(folder)
		require.NoError(t, err)
		for _, e := range entries {
			info, err := e.Info()
			require.NoError(t, err)
			require.Zero(t, info.Mode().Perm()&0o077, e.Name())
		}
		key, err := os.ReadFile(filepath.Join(folder, "audit.key"))
		require.NoError(t, err)
		require.Equal(t, "key", string(key))
	}
}

func TestDamagedBackupsAreNone(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	copied := filepath.Join(m.dir, "backup")
	require.NoError(t, os.Mkdir(copied, 0o700))
	code, out := m.run(t, "", "restore", copied)
	require.Equal(t, 1, code)
	require.Contains(t, out, "no backup")
	require.NoError(t, os.WriteFile(filepath.Join(copied, sqlite.File), []byte("not a database"), 0o600))
	code, out = m.run(t, "", "restore", copied)
	require.Equal(t, 1, code, out)
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	// The worker refuses an event, and then refuses it alone; the server runs on.
	db, err := sqlite.Open(t.Context(), filepath.Join(m.dir, "data"), sqlite.Full)
	require.NoError(t, err)
	defer db.Close()
	code, out := m.run(t, "", "dead", "list", site)
	require.Equal(t, 0, code, out)
	require.Contains(t, out, "0 dead letters")
	require.NoError(t, db.Enqueue(t.Context(), []event.Received{{
		ID: "e1", Site: site, At: time.Now(), Call: &event.Call{EventID: "call-1", Site: site},
	}}))
	items, err := db.Take(t.Context(), 10, 1<<20)
	require.NoError(t, err)
	require.NoError(t, db.Refused(t.Context(), items))
	items, err = db.TakeLone(t.Context())
	require.NoError(t, err)
	require.NoError(t, db.Refused(t.Context(), items))

	code, out = m.run(t, "", "dead", "list", site)
	require.Equal(t, 0, code, out)
	require.Contains(t, out, "1 dead letters")
	id, _, _ := strings.Cut(out, "\t")
	code, out = m.run(t, "", "dead", "show", site, id)
	require.Equal(t, 0, code, out)
	require.Contains(t, out, "call-1")
	code, out = m.run(t, "", "dead", "show", site, "none")
	require.Equal(t, 1, code)
	require.Contains(t, out, "no dead letter")
	code, out = m.run(t, "", "dead", "list", strings.Repeat("f", 32))
	require.Equal(t, 1, code)
	require.Contains(t, out, "no site")
	code, out = m.run(t, "", "dead", "replay", site)
	require.Equal(t, 1, code)
	require.Contains(t, out, "running server")
	n, err := db.Dead(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, n, "nothing was changed")
}
