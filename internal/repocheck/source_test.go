package repocheck_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// source is one parsed Go file.
type source struct {
	path string // from the root, with slashes
	file *ast.File
	text []byte
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// parseTree parses every Go file of a tree, fixtures excepted.
func parseTree(t *testing.T, tree fs.FS) []source {
	t.Helper()
	var all []source
	err := fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p != "." && (d.Name() == "testdata" || d.Name()[0] == '.') {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(p) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(tree, p)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), p, text,
			parser.ParseComments|parser.SkipObjectResolution)
		all = append(all, source{p, file, text})
		return err
	})
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

const maxLines = 500

// checkStyle returns one line per broken rule: a test that sleeps, and a file
// too long to be read at once.
func checkStyle(all []source) []string {
	var problems []string
	for _, s := range all {
		if !s.isTest() {
			if n := bytes.Count(s.text, []byte("\n")); n > maxLines {
				problems = append(problems,
					fmt.Sprintf("%s has %d lines, more than %d", s.path, n, maxLines))
			}
			continue
		}
		if sleeps(s) {
			problems = append(problems, s.path+" calls time.Sleep outside a synctest bubble")
		}
	}
	return problems
}

// sleeps reports whether a test file calls time.Sleep, or has such a call
// commented out. In a file that imports testing/synctest the clock is fake, and
// sleeping is how it is moved.
func sleeps(s source) bool {
	for _, imported := range s.file.Imports {
		if imported.Path.Value == `"testing/synctest"` {
			return false
		}
	}
	for _, group := range s.file.Comments {
		for _, c := range group.List {
			if strings.Contains(c.Text, "time.Sleep(") {
				return true
			}
		}
	}
	found := false
	ast.Inspect(s.file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" {
				found = true
			}
		}
		return !found
	})
	return found
}

func TestSourceStyle(t *testing.T) {
	t.Parallel()
	requireNone(t, checkStyle(parseTree(t, os.DirFS(root))))
}

func TestSourceStyleCatchesViolations(t *testing.T) {
	t.Parallel()
	long := "package a\n" + strings.Repeat("\n", maxLines)
	const sleeping = "package a\nimport \"time\"\nfunc f() { time.Sleep(1) }\n"
	rows := []struct{ name, path, text, want string }{
		{"long", "a.go", long, "a.go has 501 lines, more than 500"},
		{"long test", "a_test.go", long, ""},
		{"sleep", "a_test.go", sleeping, "a_test.go calls time.Sleep outside a synctest bubble"},
		{"sleep in code", "a.go", sleeping, ""},
		{
			"sleep in a comment", "a_test.go", "package a\n// time.Sleep(1)\n",
			"a_test.go calls time.Sleep outside a synctest bubble",
		},
		{
			"synctest", "a_test.go",
			strings.Replace(sleeping, "import", "import \"testing/synctest\"\nimport", 1), "",
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			file, err := parser.ParseFile(token.NewFileSet(), row.path, row.text, parser.ParseComments)
			require.NoError(t, err)
			got := checkStyle([]source{{row.path, file, []byte(row.text)}})
			require.Equal(t, row.want, strings.Join(got, "\n"))
		})
	}
}

// reasonCodes returns the codes a refusal can carry and where each is declared:
// string constants of a type named Reason in the seven folders, and literal
// codes given to the problem writer anywhere.
func reasonCodes(all []source) map[string]string {
	codes := map[string]string{}
	for _, s := range all {
		if s.isTest() {
			continue
		}
		folder, _, _ := strings.Cut(s.path, "/")
		ast.Inspect(s.file, func(n ast.Node) bool {
			var literal ast.Expr
			switch n := n.(type) {
			case *ast.ValueSpec:
				if slices.Contains(packages, folder) {
					literal = reasonLiteral(n)
				}
			case *ast.CallExpr:
				sel, ok := n.Fun.(*ast.SelectorExpr)
				if ok && sel.Sel.Name == "New" && isIdent(sel.X, "problem") && len(n.Args) > 1 {
					literal = n.Args[1]
				}
			}
			if lit, ok := literal.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if code, err := strconv.Unquote(lit.Value); err == nil {
					codes[code] = s.path
				}
			}
			return true
		})
	}
	return codes
}

// reasonLiteral returns the value of "X Reason = value" and "X = Reason(value)".
func reasonLiteral(spec *ast.ValueSpec) ast.Expr {
	if len(spec.Values) != 1 {
		return nil
	}
	if isIdent(spec.Type, "Reason") {
		return spec.Values[0]
	}
	if call, ok := spec.Values[0].(*ast.CallExpr); ok && isIdent(call.Fun, "Reason") &&
		len(call.Args) == 1 {
		return call.Args[0]
	}
	return nil
}

func isIdent(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}
