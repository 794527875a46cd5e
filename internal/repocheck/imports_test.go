package repocheck_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// packages are the seven top-level folders. None may know another.
var packages = []string{
	"audit", "cors", "hmacsig", "ratelimit", "scrub", "sessions", "tenancy",
}

// cores link the standard library, this module's internal/, and the modules named
// here, with all that these bring. The seven must exist.
var cores = map[string][]string{
	"audit":             {"golang.org/x/mod"},
	"audit/watch":       nil,
	"cors":              nil,
	"hmacsig":           nil,
	"hmacsig/ephemeral": nil,
	"hmacsig/qstash":    nil,
	"ratelimit":         nil,

	"ratelimit/clientaddr": nil,
	"ratelimit/loginguard": {"golang.org/x/time/rate"},

	"scrub":            nil,
	"sessions":         nil,
	"tenancy":          nil,
	"tenancy/envelope": nil,
	"tools/gatetest":   nil,
}

// adapters are the other subpackages and what they may import directly. One
// that is not listed here may link as little as a core without extras.
var adapters = map[string][]string{
	"audit/auditverify":      {"golang.org/x/mod"},
	"audit/pgaudit":          {"github.com/jackc/pgx/v5", "golang.org/x/mod"},
	"audit/privacy":          {"golang.org/x/mod"},
	"audit/publish":          {"golang.org/x/mod"},
	"audit/query":            {"golang.org/x/mod"},
	"audit/reads":            {"golang.org/x/mod"},
	"audit/watch/rediswatch": {"github.com/redis/go-redis/v9"},
	"hmacsig/redisreplay":    {"github.com/redis/go-redis/v9"},
	"ratelimit/redislimit":   {"github.com/redis/go-redis/v9"},
	"scrub/sentryscrub":      {"github.com/getsentry/sentry-go"},
	"sessions/redissession":  {"github.com/redis/go-redis/v9"},
	"tenancy/rls":            {"github.com/jackc/pgx/v5"},
	"tenancy/rls/rlscheck":   {"github.com/jackc/pgx/v5"},
	"tenancy/rls/rlstest":    {"github.com/jackc/pgx/v5"},
}

// conformance is the last element of a suite that the tests of stores import.
const conformance = "storetest"

// shared are the packages of internal/ that link more than the standard library.
var shared = map[string][]string{
	"internal/redisconn": {"github.com/redis/go-redis/v9"},
}

var conformanceLinks = []string{"github.com/stretchr/testify"}

// pkg is what go list says of a package.
type pkg struct {
	ImportPath                               string
	Imports, Deps, TestImports, XTestImports []string
	Standard                                 bool
	Module                                   *struct{ Path string }
}

// listPackages returns every package of the module in dir and all they link.
func listPackages(t *testing.T, dir string) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json="+
		"ImportPath,Imports,Deps,TestImports,XTestImports,Standard,Module", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	var all []pkg
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else {
			require.NoError(t, err)
		}
		all = append(all, p)
	}
}

// checkImports returns one line per broken rule.
func checkImports(module string, all []pkg) []string {
	c := importCheck{module: module, standard: map[string]bool{}}
	present := map[string]bool{}
	for _, p := range all {
		c.standard[p.ImportPath] = p.Standard
		if local, ok := c.local(p.ImportPath); ok {
			present[local] = true
		}
	}
	for _, name := range packages {
		if !present[name] {
			c.report(name, "is missing")
		}
	}
	for _, p := range all {
		local, ok := c.local(p.ImportPath)
		if !ok {
			if p.ImportPath == module {
				c.hall(p)
			}
			continue
		}
		folder, _, _ := strings.Cut(local, "/")
		switch {
		case slices.Contains(packages, folder):
			c.siblings(local, p)
			c.links(local, p)
		case folder == "internal":
			c.internal(local, p)
		}
	}
	slices.Sort(c.problems)
	return c.problems
}

type importCheck struct {
	module   string
	standard map[string]bool
	problems []string
}

func (c *importCheck) report(words ...any) {
	c.problems = append(c.problems, strings.TrimSpace(fmt.Sprintln(words...)))
}

// local returns the folder of a package of this module. The root package, which
// every package may import, has none.
func (c *importCheck) local(importPath string) (string, bool) {
	return strings.CutPrefix(importPath, c.module+"/")
}

// foreign reports whether a package is neither ours nor the standard library's.
func (c *importCheck) foreign(importPath string) bool {
	_, own := c.local(importPath)
	return !own && importPath != c.module && !c.standard[importPath]
}

// linksOnly reports what is foreign in deps and not below one of allowed.
func (c *importCheck) linksOnly(local string, deps, allowed []string) {
	for _, dep := range deps {
		if c.foreign(dep) && !slices.ContainsFunc(allowed, func(a string) bool {
			return dep == a || strings.HasPrefix(dep, a+"/")
		}) {
			c.report(local, "links", dep)
		}
	}
}

// siblings: a package knows its own folder and internal/, its tests included.
func (c *importCheck) siblings(local string, p pkg) {
	folder, _, _ := strings.Cut(local, "/")
	for _, dep := range slices.Concat(p.Deps, p.TestImports, p.XTestImports) {
		other, ok := c.local(dep)
		if !ok {
			continue
		}
		if first, _, _ := strings.Cut(other, "/"); first != folder && first != "internal" {
			c.report(local, "imports its sibling", other)
		}
	}
}

// links: what a program that imports the package gets besides it.
func (c *importCheck) links(local string, p pkg) {
	deps, allowed := p.Deps, cores[local]
	if extra, ok := adapters[local]; ok {
		deps, allowed = p.Imports, extra
	} else if path.Base(local) == conformance {
		deps, allowed = p.Imports, conformanceLinks
	}
	c.linksOnly(local, deps, allowed)
}

// internal: shared code knows no gate, and links the standard library alone but
// for what the table names.
func (c *importCheck) internal(local string, p pkg) {
	deps := p.Deps
	if shared[local] != nil {
		deps = p.Imports
	}
	c.linksOnly(local, deps, shared[local])
	for _, dep := range p.Deps {
		if other, own := c.local(dep); own && !strings.HasPrefix(other, "internal/") {
			c.report(local, "imports", other)
		}
	}
}

// hall: the root package links the standard library and internal/ alone.
func (c *importCheck) hall(p pkg) {
	c.linksOnly("the root package", p.Deps, nil)
	for _, dep := range p.Deps {
		if other, own := c.local(dep); own && !strings.HasPrefix(other, "internal/") {
			c.report("the root package imports", other)
		}
	}
}

func TestImportRules(t *testing.T) {
	t.Parallel()
	all := listPackages(t, root)
	requireNone(t, checkImports("github.com/opsmantik/sallyport", all))
}

// TestImportRulesCatchViolations runs the check over a module that breaks every
// rule once.
func TestImportRulesCatchViolations(t *testing.T) {
	t.Parallel()
	got := checkImports("example.test/fixture", listPackages(t, "testdata/imports"))
	require.Equal(t, []string{
		"audit is missing",
		"cors imports its sibling hmacsig",
		"cors links example.test/outside",
		"cors links example.test/outside/inner",
		"hmacsig/newcomer links example.test/outside/inner",
		"internal/leak imports scrub",
		"internal/leak links example.test/outside/inner",
		"ratelimit/redislimit links example.test/outside/inner",
		"scrub imports its sibling tenancy",
		"sessions imports its sibling scrub",
		"sessions links example.test/outside/inner",
		"tenancy imports its sibling audit/watch",
		"the root package imports scrub",
		"the root package links example.test/outside",
		"the root package links example.test/outside/inner",
	}, got)
}
