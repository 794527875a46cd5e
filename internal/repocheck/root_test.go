package repocheck_test

import (
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is the repository, seen from this package.
const root = "../.."

// topLevel is all that may lie at the top of the repository, besides the Go files
// of the root package.
var topLevel = slices.Concat(packages, []string{
	".ci", ".git", ".github", ".gitignore",
	"CHANGELOG.md", "LICENSE", "Makefile", "README.md", "SECURITY.md",
	"CONTRIBUTING.md", "go.mod", "go.sum", "go.work", "go.work.sum",
	"docs", "examples", "internal", "tools",
})

// requireNone fails with one problem per line.
func requireNone(t *testing.T, problems []string) {
	t.Helper()
	if len(problems) > 0 {
		t.Fatalf("%d problems:\n%s", len(problems), strings.Join(problems, "\n"))
	}
}

func TestTopLevel(t *testing.T) {
	t.Parallel()
	requireNone(t, strays(t, os.DirFS(root)))
}

func TestTopLevelCatchesStrays(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"chain", "notes.md"}, strays(t, os.DirFS("testdata/toplevel")))
}

// strays returns the entries that are neither allowed nor ignored by git.
func strays(t *testing.T, tree fs.FS) []string {
	t.Helper()
	entries, err := fs.ReadDir(tree, ".")
	require.NoError(t, err)
	ignore, err := fs.ReadFile(tree, ".gitignore")
	require.NoError(t, err)
	var found []string
	for _, e := range entries {
		ignored := slices.ContainsFunc(strings.Fields(string(ignore)), func(pattern string) bool {
			ok, err := path.Match(strings.Trim(pattern, "/"), e.Name())
			require.NoError(t, err)
			return ok
		})
		code := path.Ext(e.Name()) == ".go" && !e.IsDir()
		if !ignored && !code && !slices.Contains(topLevel, e.Name()) {
			found = append(found, e.Name())
		}
	}
	return found
}
