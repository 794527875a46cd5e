package main_test

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	library  = "github.com/opsmantik/sallyport"
	original = library + "/examples"
	copied   = "example.test/copied"
)

// TestCopiedOutOfTheTree makes a module of its own from this folder, as a reader
// would who copies it, builds it and runs its tests.
func TestCopiedOutOfTheTree(t *testing.T) {
	if testing.Short() || os.Getenv("SALLYPORT_COPIED") != "" {
		t.Skip("slow, and once is enough")
	}
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	module, err := os.ReadFile(filepath.Join(root, "examples", "go.mod"))
	if os.IsNotExist(err) {
		t.Skip("this is a copy")
	}
	require.NoError(t, err)
	dir := t.TempDir()
	copyTree(t, dir)
	text := strings.Replace(string(module), "module "+original, "module "+copied, 1)
	text = strings.Replace(text, library+" => ../", library+" => "+root, 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o600))
	sums, err := os.ReadFile(filepath.Join(root, "examples", "go.sum"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o600))

	command(t, dir, "go", "build", "./...")
	command(t, dir, "go", "test", "-short", "./...")
}

// copyTree copies the folder of this test, and gives every import its new path.
func copyTree(t *testing.T, dir string) {
	t.Helper()
	rename := strings.NewReplacer(`"`+original+"/", `"`+copied+"/")
	err := fs.WalkDir(os.DirFS("."), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, "ingest", path)
		if d.IsDir() {
			return os.MkdirAll(to, 0o700)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if filepath.Ext(path) == ".go" {
			data = []byte(rename.Replace(string(data)))
		}
		return os.WriteFile(to, data, 0o600)
	})
	require.NoError(t, err)
}

func command(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...) // #nosec G204 -- the go command
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "SALLYPORT_COPIED=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %s:\n%s", name, strings.Join(args, " "), out)
}
