package server_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/publish"
	"github.com/opsmantik/sallyport/examples/ingest/server"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
)

// audited is a server with somebody who may see its whole log, and something in it.
func audited(t *testing.T) (r *rig, call, admin, all string) {
	t.Helper()
	s := configured(t)
	s.Users = append(s.Users, settings.User{
		ID: "root", Email: "root@example.test", PasswordHash: adminHash, TOTPSecret: totpSecret,
		Role: "superadmin", Sites: []string{siteA},
	})
	r = run(t, s)
	call = r.oneCall()
	admin, all = r.login("admin", true), r.login("root", true)
	for _, act := range []string{"seal", "undo", "junk", "undo"} {
		got := r.do(http.MethodPost, "/api/calls/"+call+"/"+act, "", "Cookie", admin)
		require.Equal(t, 200, got.Status, got.Body)
	}
	return r, call, admin, all
}

type page struct {
	Entries []struct {
		Index int64          `json:"index"`
		Entry jsontext.Value `json:"entry"`
	} `json:"entries"`
	Next string `json:"next"`
}

func (r *rig) page(cookie, path string) (p page) {
	r.t.Helper()
	got := r.do(http.MethodGet, path, "", "Cookie", cookie)
	require.Equal(r.t, 200, got.Status, got.Body)
	require.NoError(r.t, json.Unmarshal([]byte(got.Body), &p))
	return p
}

// verifier is the log's public key, as its owner would hand it out.
func (r *rig) verifier() note.Verifier {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.DB, "audit.key"))
	require.NoError(r.t, err)
	_, public, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	verifier, err := note.NewVerifier(public)
	require.NoError(r.t, err)
	return verifier
}

// tiles reads from a running server what golang.org/x/mod/sumdb/tlog asks for.
type tiles struct {
	r      *rig
	cookie string
}

func (tiles) Height() int                     { return 8 }
func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (c tiles) ReadTiles(all []tlog.Tile) (data [][]byte, err error) {
	for _, tile := range all {
		path := fmt.Sprintf("/api/audit/tile/%d/%03d", tile.L, tile.N)
		if tile.W < 256 {
			path += fmt.Sprintf(".p/%d", tile.W)
		}
		got := c.r.do(http.MethodGet, path+"?site_id="+siteA, "", "Cookie", c.cookie)
		if got.Status != http.StatusOK {
			return nil, fmt.Errorf("%s: %d", path, got.Status)
		}
		data = append(data, []byte(got.Body))
	}
	return data, nil
}

// A tool that knows nothing of this server verifies each record that it serves against
// the checkpoint that it signs, by the tiles, and by the proofs alone.
func TestAForeignToolVerifiesTheServedLog(t *testing.T) {
	t.Parallel()
	r, _, admin, all := audited(t)
	checkpoint := r.do(http.MethodGet, "/api/audit/checkpoint?site_id="+siteA, "", "Cookie", admin)
	require.Equal(t, 200, checkpoint.Status, checkpoint.Body)
	verifier := r.verifier()
	opened, err := note.Open([]byte(checkpoint.Body), note.VerifierList(verifier))
	require.NoError(t, err)
	tree, err := publish.ParseCheckpoint([]byte(checkpoint.Body), verifier.Name(), verifier, 0)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(opened.Text, verifier.Name()+"\n"))
	hashes := tlog.TileHashReader(tree, tiles{r, all})

	log := r.page(all, "/api/audit/log?site_id="+siteA)
	require.GreaterOrEqual(t, int64(len(log.Entries)), tree.N)
	sites := 0
	for _, row := range log.Entries[:tree.N] {
		proof, err := tlog.ProveRecord(tree.N, row.Index, hashes)
		require.NoError(t, err)
		require.NoError(t, tlog.CheckRecord(proof, tree.N, tree.Hash, row.Index, tlog.RecordHash(row.Entry)))
		got := r.do(http.MethodGet, fmt.Sprintf("/api/audit/proof/%d?site_id=%s", row.Index, siteA), "", "Cookie", admin)
		if !strings.Contains(string(row.Entry), `"tenant":"`+siteA) {
			require.Equal(t, 404, got.Status, "a record of another site, or of none")
			continue
		}
		sites++
		require.Equal(t, 200, got.Status, got.Body)
		index, err := publish.VerifyProof([]byte(got.Body), row.Entry, verifier.Name(), verifier, 0)
		require.NoError(t, err)
		require.Equal(t, row.Index, index)
		changed := []byte(strings.Replace(string(row.Entry), `"id":"admin"`, `"id":"rival"`, 1))
		_, err = publish.VerifyProof([]byte(got.Body), changed, verifier.Name(), verifier, 0)
		require.Error(t, err)
	}
	require.Equal(t, 4, sites)
}

// A search has pages that neither repeat nor skip, and stays within the site.
func TestAuditSearch(t *testing.T) {
	t.Parallel()
	r, call, admin, all := audited(t)
	of := "/api/audit?site_id=" + siteA
	for query, want := range map[string]int{
		"&action=calls.undo": 2, "&actor=admin": 4, "&actor=other": 0, "&target=" + call: 4, "&after=0": 4,
		"&until=2001-01-01T00:00:00Z": 0, "&from=2001-01-01T00:00:00Z": 4, "&action=account.sign_in": 0,
	} {
		require.Len(t, r.page(admin, of+query).Entries, want, query)
	}
	seen := map[int64]bool{}
	for after := "0"; after != ""; {
		p := r.page(admin, of+"&limit=1&after="+after)
		for _, row := range p.Entries {
			require.False(t, seen[row.Index])
			seen[row.Index] = true
		}
		after = p.Next
	}
	require.Len(t, seen, 4)
	for _, bad := range []string{"&limit=0", "&limit=501", "&limit=x", "&after=-1", "&after=x", "&from=noon", "&format=xml"} {
		got := r.do(http.MethodGet, of+bad, "", "Cookie", admin)
		require.Equal(t, 422, got.Status, bad)
	}
	ocsf := r.do(http.MethodGet, of+"&format=ocsf&action=calls.seal", "", "Cookie", admin)
	require.Contains(t, ocsf.Body, `"class_uid":6003`)
	require.Contains(t, ocsf.Body, `"operation":"calls.seal"`)
	whole := r.page(all, "/api/audit/log?site_id="+siteA+"&action=account.sign_in")
	require.NotEmpty(t, whole.Entries, "what belongs to no site")
	for _, path := range []string{"/api/audit/log", "/api/audit/tile/0/000.p/1"} {
		got := r.do(http.MethodGet, path+"?site_id="+siteA, "", "Cookie", admin)
		require.Equal(t, 404, got.Status, "an admin of one site sees no other's: %s", path)
	}
}

func TestAccessReview(t *testing.T) {
	t.Parallel()
	r, _, admin, _ := audited(t)
	path := "/api/audit/review?site_id=" + siteA
	now := time.Now().UTC()
	for query, want := range map[string]bool{
		"": true, fmt.Sprintf("&quarter=%d-Q%d", now.Year(), (now.Month()+2)/3): true, "&quarter=2001-Q3": false,
	} {
		got := r.do(http.MethodGet, path+query, "", "Cookie", admin)
		require.Equal(t, 200, got.Status, got.Body)
		require.Equal(t, "text/csv; charset=utf-8", got.Header.Get("Content-Type"))
		require.Equal(t, want, strings.Contains(got.Body, `""calls.undo"":2`), "%s: %s", query, got.Body)
	}
	require.Equal(t, 422, r.do(http.MethodGet, path+"&quarter=Q5", "", "Cookie", admin).Status)
}

// What was signed binds the next start: a log that somebody has shortened, with its
// head beside it, is not served.
func TestARolledBackLogIsNotServed(t *testing.T) {
	t.Parallel()
	s := configured(t)
	s.PublicOrigins = []string{(&url.URL{Scheme: "https", Host: "ingest.example.org"}).String()}
	record := func(db *sqlite.DB, n int) {
		for range n {
			_, err := db.AuditLog().Append(t.Context(), audit.Record{
				Time: time.Now(), Actor: audit.Ref{Kind: sallyport.KindService, ID: "test"}, Action: "test.done",
				Outcome: audit.OutcomeSuccess,
			})
			require.NoError(t, err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	db, srv := newServer(t, s, log, sqlite.DangerouslyOff)
	require.NoError(t, srv.Stop())
	older := filepath.Join(t.TempDir(), "older.db")
	record(db, 2)
	copyDatabase(t, s.DataDir, older)
	record(db, 2)
	require.NoError(t, db.Close())
	db, srv = newServer(t, s, log, sqlite.DangerouslyOff) // signs four
	require.NoError(t, srv.Stop())
	require.NoError(t, db.Close())
	info, err := os.Stat(filepath.Join(s.DataDir, "audit.key"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	key, err := os.ReadFile(filepath.Join(s.DataDir, "audit.key"))
	require.NoError(t, err)
	require.Contains(t, string(key), "+ingest.example.org/api/audit+")

	text, err := os.ReadFile(older)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(s.DataDir, "sallyport.db"), text, 0o600))
	db, err = sqlite.Open(t.Context(), s.DataDir, sqlite.DangerouslyOff)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.VerifyAudit(t.Context())
	require.NoError(t, err, "the file agrees with itself")
	_, err = start(t.Context(), t, s, db, log)
	require.ErrorIs(t, err, publish.ErrInconsistent)
}

func copyDatabase(t *testing.T, dir, to string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "sallyport.db")+"?_pragma=busy_timeout(5000)")
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `VACUUM INTO ?`, to)
	require.NoError(t, err)
	require.NoError(t, db.Close())
}

// start makes a server that may fail.
func start(
	ctx context.Context, t *testing.T, s *settings.Settings, db *sqlite.DB, log *slog.Logger,
) (*server.Server, error) {
	t.Helper()
	listeners, err := server.Listen(ctx, s)
	require.NoError(t, err)
	return server.New(ctx, server.Config{Settings: s, Listeners: listeners, Store: db, Log: log})
}
