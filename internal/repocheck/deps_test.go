package repocheck_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/repocheck"
)

func requiredModules(t *testing.T, root string) []repocheck.Module {
	t.Helper()
	goMods, err := repocheck.GoMods(root)
	require.NoError(t, err)
	require.NotEmpty(t, goMods)
	var all []repocheck.Module
	for _, goMod := range goMods {
		// The go command reads the file in another process; reading it here too
		// tells the test cache to look at it.
		_, err := os.ReadFile(root + "/" + goMod)
		require.NoError(t, err)
		m, err := repocheck.Required(root, goMod)
		require.NoError(t, err)
		all = append(all, m)
	}
	return all
}

func TestDependenciesAreListed(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(root + "/" + repocheck.DependencyFile)
	require.NoError(t, err)
	problems := repocheck.CompareDependencies(
		requiredModules(t, root), repocheck.ParseDependencies(string(doc)))
	if len(problems) > 0 {
		problems = append(problems, "",
			"run: go run ./internal/repocheck/depslist -w, then write the missing reasons")
	}
	requireNone(t, problems)
}

func TestDependencyCheckCatchesDifferences(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("testdata/deps/dependencies.md")
	require.NoError(t, err)
	listed := repocheck.ParseDependencies(string(doc))
	require.Equal(t, []string{
		"go.mod: example.test/unlisted is required and not listed as direct",
		"go.mod: example.test/old is listed at v1.0.0 and required at v1.1.0",
		"go.mod: example.test/unexplained lacks a release date, a licence or a reason",
		"go.mod: example.test/gone is listed as direct and not required so",
		"go.mod: example.test/indirect-unlisted is required and not listed as indirect",
		"go.mod: example.test/indirect-gone is listed as indirect and not required so",
		"sub/go.mod: no section",
		"missing/go.mod: listed, but there is no such file",
	}, repocheck.CompareDependencies(requiredModules(t, "testdata/deps"), listed))
}

func TestToolsCountAsDirect(t *testing.T) {
	t.Parallel()
	m, err := repocheck.Required("testdata/deps", "sub/go.mod")
	require.NoError(t, err)
	require.Equal(t, repocheck.Module{
		GoMod:    "sub/go.mod",
		Direct:   []repocheck.Dependency{{Path: "example.test/linter", Version: "v1.0.0"}},
		Indirect: []string{"example.test/lint"},
	}, m)
}

func TestDependencyDocumentRoundTrip(t *testing.T) {
	t.Parallel()
	modules := []repocheck.Module{
		{
			GoMod: "go.mod",
			Direct: []repocheck.Dependency{
				{"example.test/a", "v1.0.0", "2026-01-02", "MIT", "because"},
				{"example.test/b", "v2.0.0", "2026-01-03", "ISC", ""},
			},
			Indirect: []string{"example.test/c"},
		},
		{GoMod: "sub/go.mod"},
	}
	text := "# Preamble\n\n" + repocheck.FormatDependencies(modules)
	require.Equal(t, modules, repocheck.ParseDependencies(text))
}

// TestDescribe asks for a module that every build of this package has cached.
func TestDescribe(t *testing.T) {
	t.Parallel()
	library, err := repocheck.Required(root, "go.mod")
	require.NoError(t, err)
	for _, d := range library.Direct {
		if d.Path == "github.com/stretchr/testify" {
			require.NoError(t, repocheck.Describe(root, "go.mod", &d))
			require.Equal(t, "MIT", d.Licence)
			require.Regexp(t, `^20\d\d-\d\d-\d\d$`, d.Released)
			return
		}
	}
	t.Fatal("testify is not required")
}
