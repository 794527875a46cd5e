package repocheck_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// docs/controls.md has one table row per control, which starts "| O1 |" or
// "| S17 |". A row names its proofs in backticks, each as
//
//	folder.Name
//
// where folder is the slash path of a package from the repository root, in
// whichever module, and Name is a Test, Fuzz, Example or Benchmark function in
// one of its _test.go files:
//
//	`cors.TestUnlistedOriginNeverReachesHandler`
//	`hmacsig/qstash.FuzzVerify`
//	`examples/ingest.TestKillLoop`
//
// A subtest is not named. A row without a proof must contain the word "open" or
// "organisational".
var (
	controlRow  = regexp.MustCompile(`^\|\s*\**([OS]\d+)\**\s*\|`)
	codeSpan    = regexp.MustCompile("`([^`]+)`")
	looksLike   = regexp.MustCompile(`\b(Test|Fuzz|Example|Benchmark)(_\w+|[A-Z0-9]\w*)`)
	proof       = regexp.MustCompile(`^([a-z0-9_./-]*[a-z0-9])\.((?:Test|Fuzz|Example|Benchmark)\w*)$`)
	admittedGap = regexp.MustCompile(`(?i)\b(open|organisational)\b`)
	heading     = regexp.MustCompile("^#{3,4}\\s+`?([A-Za-z0-9_]+)`?\\s*$")
)

const (
	controlsO = 14
	controlsS = 17
)

func controlIDs() []string {
	var ids []string
	for i := range controlsO {
		ids = append(ids, fmt.Sprintf("O%d", i+1))
	}
	for i := range controlsS {
		ids = append(ids, fmt.Sprintf("S%d", i+1))
	}
	return ids
}

// checkControls returns one line per row that is missing, repeated, or without
// proof, and per named test that does not exist.
func checkControls(doc string, exists func(folder, name string) bool) []string {
	var problems []string
	report := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf(format, args...))
	}
	rows := map[string]int{}
	for line := range strings.Lines(doc) {
		proofs := 0
		for _, span := range codeSpan.FindAllStringSubmatch(line, -1) {
			m := proof.FindStringSubmatch(span[1])
			switch {
			case m != nil && exists(m[1], m[2]):
				proofs++
			case m != nil:
				report("there is no %s", span[1])
			case looksLike.MatchString(span[1]):
				report("%q is not of the form folder.Name", span[1])
			}
		}
		if id := controlRow.FindStringSubmatch(line); id != nil {
			rows[id[1]]++
			if proofs == 0 && !admittedGap.MatchString(line) {
				report("%s names no proof and does not say that it is open", id[1])
			}
		}
	}
	for _, id := range controlIDs() {
		if n := rows[id]; n != 1 {
			report("%s has %d rows", id, n)
		}
		delete(rows, id)
	}
	for id := range rows {
		report("%s is not a control", id)
	}
	return problems
}

// testExists looks the function up in the source.
func testExists(t *testing.T, root string) func(folder, name string) bool {
	t.Helper()
	tree := os.DirFS(root)
	return func(folder, name string) bool {
		entries, err := os.ReadDir(path.Join(root, folder))
		if err != nil {
			return false
		}
		return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
			if !strings.HasSuffix(e.Name(), "_test.go") {
				return false
			}
			f, err := tree.Open(path.Join(folder, e.Name()))
			require.NoError(t, err)
			defer f.Close()
			file, err := parser.ParseFile(token.NewFileSet(), e.Name(), f,
				parser.SkipObjectResolution)
			require.NoError(t, err)
			return slices.ContainsFunc(file.Decls, func(d ast.Decl) bool {
				fn, ok := d.(*ast.FuncDecl)
				return ok && fn.Recv == nil && fn.Name.Name == name
			})
		})
	}
}

func TestControls(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(root + "/docs/controls.md")
	require.NoError(t, err)
	requireNone(t, checkControls(string(doc), testExists(t, root)))
}

func TestControlsCheckCatchesGaps(t *testing.T) {
	t.Parallel()
	exists := func(folder, name string) bool { return folder+"."+name == "cors.TestReal" }
	complete := func() string {
		var b strings.Builder
		for _, id := range controlIDs() {
			fmt.Fprintf(&b, "| %s | policy | `cors.TestReal` |\n", id)
		}
		return b.String()
	}()
	replaced := func(old, text string) string { return strings.Replace(complete, old, text, 1) }
	rows := []struct {
		name, doc string
		want      []string
	}{
		{"complete", complete, nil},
		{"other code", complete + "run `go test work`, see `Config.Test` and `/api/sync`\n", nil},
		{
			"open row",
			replaced("| S17 | policy | `cors.TestReal` |", "| S17 | policy | open: no voice yet |"),
			nil,
		},
		{"missing row", replaced("| O3 |", "| |"), []string{"O3 has 0 rows"}},
		{
			"repeated row", complete + "| O3 | `cors.TestReal` |\n",
			[]string{"O3 has 2 rows"},
		},
		{"unknown row", complete + "| O15 | `cors.TestReal` |\n", []string{"O15 is not a control"}},
		{
			"no proof", replaced("| O3 | policy | `cors.TestReal`", "| O3 | policy | cors"),
			[]string{"O3 names no proof and does not say that it is open"},
		},
		{
			"missing test", complete + "`cors.TestGone` and `tenancy/rls.FuzzGone`\n",
			[]string{"there is no cors.TestGone", "there is no tenancy/rls.FuzzGone"},
		},
		{
			"bare name", complete + "`TestReal`\n",
			[]string{`"TestReal" is not of the form folder.Name`},
		},
		{
			"subtest", complete + "`cors.TestReal/row`\n",
			[]string{`"cors.TestReal/row" is not of the form folder.Name`},
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, row.want, checkControls(row.doc, exists))
		})
	}
}

func TestTestLookup(t *testing.T) {
	t.Parallel()
	exists := testExists(t, root)
	require.True(t, exists("internal/repocheck", "TestTestLookup"))
	require.False(t, exists("internal/repocheck", "controlIDs_"), "no such function")
	require.False(t, exists("internal/repocheck", "isTest"), "a method")
	require.False(t, exists("internal/nowhere", "TestTestLookup"), "another folder")
}

// checkCodes returns one line per code that two files declare, that has no
// heading in the document, or that only the document has.
func checkCodes(codes map[string][]string, doc string) []string {
	var problems []string
	documented := map[string]bool{}
	for line := range strings.Lines(doc) {
		m := heading.FindStringSubmatch(line)
		switch {
		case m == nil:
		case documented[m[1]]:
			problems = append(problems, m[1]+" is documented twice")
		default:
			documented[m[1]] = true
		}
	}
	for code, files := range codes {
		if len(files) > 1 {
			problems = append(problems, code+" is declared by "+strings.Join(files, " and "))
		}
		if !documented[code] {
			problems = append(problems, code+" is not documented ("+files[0]+")")
		}
	}
	for code := range documented {
		if codes[code] == nil {
			problems = append(problems, code+" is documented and not declared")
		}
	}
	slices.Sort(problems)
	return problems
}

// TestCodes: one code, one meaning. The type of a problem links to the code's
// heading in docs/problems.md, such as "### origin_not_listed".
func TestCodes(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(root + "/docs/problems.md")
	require.NoError(t, err)
	codes := declared(parseTree(t, os.DirFS(root)))
	require.NotEmpty(t, codes)
	requireNone(t, checkCodes(codes, string(doc)))
}

func TestCodeCheckCatchesMistakes(t *testing.T) {
	t.Parallel()
	codes := declared(parseTree(t, os.DirFS("testdata/codes")))
	require.Equal(t, map[string][]string{
		"constant": {"cors/cors.go"},
		"twice":    {"cors/cors.go", "cors/inner/inner.go"},
		"kind":     {"cors/inner/inner.go"},
		"literal":  {"examples/server/server.go"},
		"private":  {"examples/server/server.go"},
	}, codes)
	require.Equal(t, []string{
		"gone is documented and not declared",
		"kind is documented twice",
		"private is not documented (examples/server/server.go)",
		"twice is declared by cors/cors.go and cors/inner/inner.go",
	}, checkCodes(codes, "### constant\n### `twice`\n### kind\nprivate\n# literal\n"+
		"#### literal\n### kind\n### gone\n"))
}
