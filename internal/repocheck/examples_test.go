package repocheck_test

import (
	"go/ast"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// needsNoExample are the packages whose only use is one line in a test, which their
// package comment shows, and the analyzer of go vet.
func needsNoExample(folder string) bool {
	return strings.HasSuffix(folder, "test") || folder == "tenancy/sitecheck" || slices.Contains(strings.Split(folder, "/"), "internal") ||
		!slices.Contains(append(packages, "."), strings.SplitN(folder, "/", 2)[0])
}

// TestExamples: every package of the library shows how it is used, and how it is not.
func TestExamples(t *testing.T) {
	t.Parallel()
	right, wrong, folders := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, s := range parseTree(t, os.DirFS(root)) {
		folder := path.Dir(s.path)
		if !s.isTest() {
			folders[folder] = folders[folder] || s.file.Name.Name != "main"
			continue
		}
		for _, d := range s.file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(fn.Name.Name, "Example") {
				continue
			}
			if strings.HasSuffix(fn.Name.Name, "_incorrect") {
				wrong[folder] = true
			} else {
				right[folder] = true
			}
		}
	}
	var problems []string
	for folder, library := range folders {
		if !library || needsNoExample(folder) {
			continue
		}
		if !right[folder] {
			problems = append(problems, folder+" has no Example")
		}
		if !wrong[folder] {
			problems = append(problems, folder+" has no Example_incorrect")
		}
	}
	slices.Sort(problems)
	requireNone(t, problems)
}
