package repocheck_test

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// row is a line of the reference server's table of settings.
var row = regexp.MustCompile(`(?m)^\t\{"([A-Z_]+)", "`)

// TestOperationsNamesEverySetting: a setting that nobody can read about is none.
func TestOperationsNamesEverySetting(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile(path.Join(root, "examples/ingest/settings/settings.go"))
	require.NoError(t, err)
	page, err := os.ReadFile(path.Join(root, "docs/operations.md"))
	require.NoError(t, err)
	settings := row.FindAllSubmatch(source, -1)
	require.Greater(t, len(settings), 20)
	for _, m := range settings {
		require.True(t, strings.Contains(string(page), "`"+string(m[1])+"`"), "docs/operations.md does not name %s", m[1])
	}
}
