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

// declared are the codes that the source declares, and the files that do:
// string constants and variables whose name begins with Code or code, as a
// gate's CodeRateLimited, and the literal Code of a refusal.
func declared(all []source) map[string][]string {
	codes := map[string][]string{}
	for _, s := range all {
		if s.isTest() {
			continue
		}
		add := func(e ast.Expr) {
			lit, ok := e.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return
			}
			if code, err := strconv.Unquote(lit.Value); err == nil {
				codes[code] = append(codes[code], s.path)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GenDecl:
				if n.Tok == token.CONST {
					codeConstants(n, add)
				}
			case *ast.CompositeLit:
				codeMember(n, add)
			}
			return true
		})
	}
	return codes
}

// codeConstants calls add with the values of "CodeX = value".
func codeConstants(decl *ast.GenDecl, add func(ast.Expr)) {
	for _, spec := range decl.Specs {
		values, ok := spec.(*ast.ValueSpec)
		if !ok {
			continue
		}
		for i, name := range values.Names {
			if strings.HasPrefix(strings.ToLower(name.Name), "code") && i < len(values.Values) {
				add(values.Values[i])
			}
		}
	}
}

// codeMember calls add with X of sallyport.Refusal{Code: X} and refusal.Kind{X, ...}.
func codeMember(lit *ast.CompositeLit, add func(ast.Expr)) {
	sel, ok := lit.Type.(*ast.SelectorExpr)
	if !ok || (sel.Sel.Name != "Refusal" && sel.Sel.Name != "Kind") {
		return
	}
	for i, e := range lit.Elts {
		pair, keyed := e.(*ast.KeyValueExpr)
		switch {
		case keyed && isIdent(pair.Key, "Code"):
			add(pair.Value)
		case !keyed && i == 0 && sel.Sel.Name == "Kind":
			add(e)
		}
	}
}

func isIdent(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}
