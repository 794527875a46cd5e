// Depslist prints docs/dependencies.md as the go.mod files now require it.
//
//	go run ./internal/repocheck/depslist          # print
//	go run ./internal/repocheck/depslist -check   # what differs; exit 1 if anything does
//	go run ./internal/repocheck/depslist -w       # write, from the repository root
//
// The text before the first section and every reason are kept. A new module
// gets an empty reason, which the check refuses until somebody writes one.
package main

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/opsmantik/sallyport/internal/repocheck"
)

func main() {
	write := flag.Bool("w", false, "write "+repocheck.DependencyFile)
	check := flag.Bool("check", false, "only say what differs")
	flag.Parse()
	if err := run(*write, *check); err != nil {
		fmt.Fprintln(os.Stderr, "depslist:", err)
		os.Exit(1)
	}
}

func run(write, check bool) error {
	doc, err := fs.ReadFile(os.DirFS("."), repocheck.DependencyFile)
	if err != nil {
		return err
	}
	goMods, err := repocheck.GoMods(".")
	if err != nil {
		return err
	}
	var required []repocheck.Module
	for _, goMod := range goMods {
		m, err := repocheck.Required(".", goMod)
		if err != nil {
			return err
		}
		required = append(required, m)
	}
	listed := repocheck.ParseDependencies(string(doc))
	if check {
		problems := repocheck.CompareDependencies(required, listed)
		if len(problems) > 0 {
			return fmt.Errorf("%s and the go.mod files differ:\n%s",
				repocheck.DependencyFile, strings.Join(problems, "\n"))
		}
		return nil
	}
	if err := describe(required, listed); err != nil {
		return err
	}
	preamble, _, _ := strings.Cut(string(doc), "\n## `")
	text := strings.TrimSpace(preamble) + "\n\n" + repocheck.FormatDependencies(required)
	if write {
		return os.WriteFile(repocheck.DependencyFile, []byte(text), 0o600)
	}
	_, err = fmt.Print(text)
	return err
}

// describe completes the direct dependencies, with the reasons known already.
func describe(required, listed []repocheck.Module) error {
	reasons := map[string]string{}
	for _, m := range listed {
		for _, d := range m.Direct {
			reasons[m.GoMod+" "+d.Path] = d.Why
		}
	}
	for _, m := range required {
		for i := range m.Direct {
			d := &m.Direct[i]
			d.Why = reasons[m.GoMod+" "+d.Path]
			if err := repocheck.Describe(".", m.GoMod, d); err != nil {
				return err
			}
		}
	}
	return nil
}
