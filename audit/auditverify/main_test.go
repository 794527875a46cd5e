package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/publish"
)

const (
	origin = "audit.example.com/shop"
	first  = "00000000000000000000.log"
)

// scene is a log of some records that was published twice, and what an auditor kept.
type scene struct {
	dir, public, held string // held is the file of the first checkpoint
	old               string // of the second
	vkey              string
	config            publish.Config
	data              []byte // the only segment
	heldTree          tlog.Tree
}

func record(id string) audit.Record {
	return audit.Record{
		Time:    time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC),
		Actor:   audit.Ref{Kind: "user", ID: "ada"},
		Action:  "calls.seal",
		Target:  audit.Ref{Kind: "call", ID: id},
		Outcome: audit.OutcomeSuccess,
	}
}

// write makes a log of n records; edit changes the entry i before it is written.
func write(t testing.TB, dir string, n int, edit func(i int, r *audit.Record)) {
	t.Helper()
	log, err := audit.New(audit.Config{Dir: dir})
	require.NoError(t, err)
	for i := range n {
		r := record(fmt.Sprint(i))
		if edit != nil {
			edit(i, &r)
		}
		_, err := log.Append(t.Context(), r)
		require.NoError(t, err)
	}
	require.NoError(t, log.Close())
}

func newScene(t testing.TB, n int) scene {
	t.Helper()
	private, public, err := note.GenerateKey(nil, origin)
	require.NoError(t, err)
	signer, err := note.NewSigner(private)
	require.NoError(t, err)
	verifier, err := note.NewVerifier(public)
	require.NoError(t, err)
	base := t.TempDir()
	s := scene{
		dir: filepath.Join(base, "log"), public: filepath.Join(base, "public"),
		held: filepath.Join(base, "held"), old: filepath.Join(base, "old"), vkey: public,
	}
	s.config = publish.Config{Origin: origin, Signer: signer, Verifier: verifier, Dir: s.public}
	write(t, s.dir, n/2, nil)
	require.NoError(t, os.WriteFile(s.old, s.publish(t), 0o600))
	log, err := audit.New(audit.Config{Dir: s.dir})
	require.NoError(t, err)
	for i := n / 2; i < n; i++ {
		_, err := log.Append(t.Context(), record(fmt.Sprint(i)))
		require.NoError(t, err)
	}
	require.NoError(t, log.Close())
	checkpoint := s.publish(t)
	require.NoError(t, os.WriteFile(s.held, checkpoint, 0o600))
	s.heldTree, err = publish.ParseCheckpoint(checkpoint, origin, verifier, 0)
	require.NoError(t, err)
	s.data, err = os.ReadFile(filepath.Join(s.dir, first))
	require.NoError(t, err)
	return s
}

func (s *scene) publish(t testing.TB) []byte {
	t.Helper()
	log, err := audit.New(audit.Config{Dir: s.dir})
	require.NoError(t, err)
	s.config.Store = log
	publisher, err := publish.New(s.config)
	require.NoError(t, err)
	checkpoint, err := publisher.Publish(context.Background())
	require.NoError(t, err)
	require.NoError(t, log.Close())
	return checkpoint
}

// audit runs the command with the keys of the scene.
func (s *scene) audit(args ...string) (out string, code int) {
	var stdout, stderr bytes.Buffer
	args = append([]string{"-origin", origin, "-key", s.vkey}, args...)
	code = run(args, nil, &stdout, &stderr)
	return stdout.String() + stderr.String(), code
}

func (s *scene) expect(t *testing.T, word string, args ...string) string {
	t.Helper()
	out, code := s.audit(args...)
	require.True(t, strings.HasPrefix(out, word+":"), "want %s, got %s", word, out)
	require.Equal(t, codes[word], code)
	return out
}

func TestCleanInEveryForm(t *testing.T) {
	t.Parallel()
	s := newScene(t, 600)
	server := httptest.NewServer(nil)
	defer server.Close()
	publisher, err := publish.New(s.config)
	require.NoError(t, err)
	server.Config.Handler = publisher.Handler()
	dump := filepath.Join(t.TempDir(), "dump")
	var lines strings.Builder
	for entry, err := range audit.Entries(os.DirFS(s.dir), 0) {
		require.NoError(t, err)
		lines.WriteString(hex.EncodeToString(entry) + "\n")
	}
	require.NoError(t, os.WriteFile(dump, []byte(lines.String()), 0o600))
	for _, checkpoint := range []string{s.held, s.old} {
		for _, place := range [][]string{
			{"-log", s.dir},
			{"-dump", dump},
			{"-tiles", s.public},
			{"-tiles", server.URL},
			{"-log", s.dir, "-tiles", s.public},
			{"-dump", dump, "-tiles", server.URL},
		} {
			out := s.expect(t, "clean", append(place, "-checkpoint", checkpoint, "-progress")...)
			require.Contains(t, out, "600 entries")
		}
	}
	out := s.expect(t, "clean", "-log", s.dir, "-checkpoint", s.old)
	require.Contains(t, out, "unsealed: 300 entries")
	require.Contains(t, s.expect(t, "clean", "-log", s.dir), "no checkpoint")
	require.Contains(t, s.expect(t, "clean", "-log", s.dir, "-pending", dump), "unsequenced: 600")
	require.Contains(t, s.expect(t, "clean", "-log", s.dir, "-erasures"), "erased: 0")
	for _, prefix := range []string{"", `\\x`} { // the second is how psql writes bytea itself
		var stdout bytes.Buffer
		stream := prefix + strings.ReplaceAll(strings.TrimSpace(lines.String()), "\n", "\n"+prefix)
		require.Zero(t, run([]string{
			"-dump", "-", "-checkpoint", s.held, "-origin", origin, "-key", s.vkey,
		}, strings.NewReader(stream+"\n"), &stdout, &stdout), stdout.String())
	}
}

// inMemory is a verifier of a segment that is not on disk.
func (s *scene) inMemory(data []byte) (verdict, error) {
	v := verifier{held: s.heldTree}
	return v.segments(fstest.MapFS{first: &fstest.MapFile{Data: data}})
}

// Bytes of a log of 200 records flipped, and the file cut at each (every single one with
// AUDIT_EVERY_BYTE set): a damaged byte is
// tampering unless it is all that a crash could have left, and then it is a truncation.
func TestEveryByteOfTheFile(t *testing.T) {
	t.Parallel()
	s := newScene(t, 200)
	step := 13 // all of them take a minute
	if os.Getenv("AUDIT_EVERY_BYTE") != "" {
		step = 1
	}
	for i := 0; i < len(s.data); i += step {
		bad := bytes.Clone(s.data)
		bad[i] ^= 1
		got, err := s.inMemory(bad)
		require.NoError(t, err)
		require.Equal(t, "tampered", got.word, "byte %d: %s", i, got.detail)
		got, err = s.inMemory(s.data[:i])
		require.NoError(t, err)
		if i > len("sallyport-audit 1 0") {
			require.Equal(t, "truncated", got.word, "cut at %d: %s", i, got.detail)
			continue
		}
		require.Equal(t, "tampered", got.word, "cut at %d: %s", i, got.detail)
	}
}

// Whoever knows the format rewrites the log so that it is sound by itself. The
// checkpoint finds it, and the tiles say which record it was.
func TestSkilledForgeries(t *testing.T) {
	t.Parallel()
	const n = 200
	s := newScene(t, n)
	forge := func(t *testing.T, edit func(entries []string) []string) string {
		var entries []string
		for entry, err := range audit.Entries(os.DirFS(s.dir), 0) {
			require.NoError(t, err)
			entries = append(entries, string(entry))
		}
		dump := filepath.Join(t.TempDir(), "dump")
		var lines strings.Builder
		for _, entry := range edit(entries) {
			lines.WriteString(hex.EncodeToString([]byte(entry)) + "\n")
		}
		require.NoError(t, os.WriteFile(dump, []byte(lines.String()), 0o600))
		return dump
	}
	step := 7
	if os.Getenv("AUDIT_EVERY_BYTE") != "" {
		step = 1
	}
	for i := 0; i < n; i += step {
		for name, edit := range map[string]func(e []string) []string{
			"edited":    func(e []string) []string { e[i] += " "; return e },
			"deleted":   func(e []string) []string { return append(e[:i], e[i+1:]...) },
			"repeated":  func(e []string) []string { return append(e[:i+1], e[i:]...) },
			"swapped":   func(e []string) []string { e[i], e[(i+1)%n] = e[(i+1)%n], e[i]; return e },
			"truncated": func(e []string) []string { return e[:i] },
		} {
			dump := forge(t, edit)
			first := i
			word := "forked"
			located := fmt.Sprintf("tampered: record %d", first)
			switch {
			case name == "swapped" && i == n-1:
				located = "tampered: record 0"
			case name == "deleted" && i == n-1, name == "truncated":
				word, located = "truncated", "truncated"
			case name == "deleted":
				word = "truncated"
			case name == "repeated" && i == n-1:
				word, located = "clean", "clean" // one more after the checkpoint
			case name == "repeated":
				located = fmt.Sprintf("tampered: record %d", i+1)
			}
			s.expect(t, word, "-dump", dump, "-checkpoint", s.held)
			out := s.expect(t, strings.SplitN(located, ":", 2)[0], "-dump", dump, "-checkpoint", s.held, "-tiles", s.public)
			require.True(t, strings.HasPrefix(out, located), "%s of %d: %s", name, i, out)
		}
	}
	// The same for files.
	forged := filepath.Join(t.TempDir(), "log")
	write(t, forged, n, func(i int, r *audit.Record) {
		if i == 77 {
			r.Actor.ID = "eve"
		}
	})
	s.expect(t, "forked", "-log", forged, "-checkpoint", s.held)
	out := s.expect(t, "tampered", "-log", forged, "-checkpoint", s.held, "-tiles", s.public)
	require.Contains(t, out, "record 77")
}

// Backups of the log, of the tiles, and a second history that the same key signed.
func TestRollbacksAndForks(t *testing.T) {
	t.Parallel()
	s := newScene(t, 400)
	other := s
	other.dir, other.public = filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "public")
	other.config.Dir = other.public
	write(t, other.dir, 200, nil)
	other.publish(t)
	s.expect(t, "rolled-back", "-tiles", other.public, "-checkpoint", s.held)
	s.expect(t, "rolled-back", "-log", other.dir, "-tiles", other.public, "-checkpoint", s.held)
	s.expect(t, "truncated", "-log", other.dir, "-checkpoint", s.held)
	s.expect(t, "clean", "-log", other.dir, "-tiles", other.public, "-checkpoint", s.old)

	for _, n := range []int{400, 500} {
		fork := s
		fork.dir, fork.public = filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "public")
		fork.config.Dir = fork.public
		write(t, fork.dir, n, func(i int, r *audit.Record) {
			if i == 3 {
				r.Actor.ID = "eve"
			}
		})
		fork.publish(t)
		s.expect(t, "forked", "-tiles", fork.public, "-checkpoint", s.held)
		s.expect(t, "forked", "-log", fork.dir, "-tiles", fork.public, "-checkpoint", s.old)
	}
	// Damaged tiles and bundles.
	for _, path := range []string{"tile/0/000", "tile/entries/001.p/144", "checkpoint"} {
		flip(t, filepath.Join(s.public, filepath.FromSlash(path)))
		s.expect(t, "tampered", "-tiles", s.public, "-checkpoint", s.old)
		flip(t, filepath.Join(s.public, filepath.FromSlash(path)))
	}
	s.expect(t, "clean", "-tiles", s.public, "-checkpoint", s.old)
}

func flip(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	data[len(data)/2] ^= 1
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

func TestTornAndArchived(t *testing.T) {
	t.Parallel()
	s := newScene(t, 100)
	path := filepath.Join(s.dir, first)
	require.NoError(t, os.WriteFile(path, append(bytes.Clone(s.data), "+12"...), 0o600))
	out := s.expect(t, "clean", "-log", s.dir, "-checkpoint", s.held)
	require.Contains(t, out, "torn:")

	large := filepath.Join(t.TempDir(), "large")
	log, err := audit.New(audit.Config{Dir: large, SegmentBytes: 1 << 20})
	require.NoError(t, err)
	for range 30 {
		r := record("x")
		r.Reason = strings.Repeat("x", 60_000)
		_, err := log.Append(t.Context(), r)
		require.NoError(t, err)
	}
	require.NoError(t, log.Close())
	archive := t.TempDir()
	require.NoError(t, os.Rename(filepath.Join(large, first), filepath.Join(archive, first)))
	require.Contains(t, s.expect(t, "clean", "-log", archive+","+large), "30 entries")
	_, code := s.audit("-log", large)
	require.Equal(t, 1, code, "without the archive it cannot tell")
}

// A record that only looks like an erasure is none.
func TestErasuresAreCountedByTheirRecords(t *testing.T) {
	t.Parallel()
	s := newScene(t, 2)
	dir := filepath.Join(t.TempDir(), "log")
	write(t, dir, 4, func(i int, r *audit.Record) {
		switch i {
		case 0:
			r.Action = "privacy.erase"
		case 1:
			r.Action, r.Outcome = "privacy.erase", audit.OutcomeIntent
		case 2:
			r.Fields = []audit.Field{{Name: "action", Value: "privacy.erase", Class: sallyport.Public}}
		case 3:
			r.Reason = `","action":"privacy.erase","outcome":"success",`
		}
	})
	require.Contains(t, s.expect(t, "clean", "-log", dir, "-erasures"), "erased: 1 ")
}

func TestUsage(t *testing.T) {
	t.Parallel()
	s := newScene(t, 2)
	missing := filepath.Join(t.TempDir(), "missing")
	for _, args := range [][]string{
		{},
		{"-log", s.dir, "-dump", "x"},
		{"-log", s.dir, "extra"},
		{"-nonsense"},
		{"-log", missing},
		{"-log", s.held},
		{"-dump", missing},
		{"-tiles", missing},
		{"-log", s.dir, "-checkpoint", missing},
		{"-log", s.dir, "-pending", missing},
		{"-log", s.dir, "-checkpoint", s.held, "-quorum", "1"},
		{"-log", s.dir, "-checkpoint", s.held, "-witness", "x"},
	} {
		out, code := s.audit(args...)
		require.Equal(t, 1, code, "%v: %s", args, out)
	}
	var stderr bytes.Buffer
	require.Equal(t, 1, run([]string{"-log", s.dir, "-checkpoint", s.held}, nil, &stderr, &stderr))
	require.Contains(t, stderr.String(), "-origin")
}
