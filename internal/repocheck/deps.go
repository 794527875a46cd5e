package repocheck

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
)

// DependencyFile is where the approved modules are listed.
const DependencyFile = "docs/dependencies.md"

// ownModules are the modules of this repository.
const ownModules = "github.com/opsmantik/sallyport"

// Module is what one go.mod asks for, or what the document lists for it.
type Module struct {
	GoMod    string       // slash path from the root, such as "examples/go.mod"
	Direct   []Dependency // imported, or run as a tool
	Indirect []string     // module paths
}

// Dependency is a module that is used directly.
type Dependency struct{ Path, Version, Released, Licence, Why string }

// GoMods returns the path of every go.mod under root, the root's own first,
// fixtures excepted.
func GoMods(root string) ([]string, error) {
	var found []string
	err := fs.WalkDir(os.DirFS(root), ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != "." && (d.Name() == "testdata" || d.Name()[0] == '.'):
			return fs.SkipDir
		case d.Name() == "go.mod":
			found = append(found, p)
		}
		return nil
	})
	slices.SortFunc(found, func(a, b string) int {
		return cmp.Or(strings.Count(a, "/")-strings.Count(b, "/"), strings.Compare(a, b))
	})
	return found, err
}

// Required reads the require blocks of one go.mod. Modules of this repository
// are left out. A tool counts as direct although the go command marks it
// "// indirect".
func Required(root, goMod string) (Module, error) {
	var file struct {
		Require []struct {
			Path, Version string
			Indirect      bool
		}
		Tool []struct{ Path string }
	}
	out, err := goCommand(path.Join(root, path.Dir(goMod)), "mod", "edit", "-json")
	if err != nil {
		return Module{}, err
	}
	if err := json.Unmarshal(out, &file); err != nil {
		return Module{}, fmt.Errorf("%s: %w", goMod, err)
	}
	m := Module{GoMod: goMod}
	for _, r := range file.Require {
		direct := !r.Indirect
		for _, tool := range file.Tool {
			direct = direct || within(tool.Path, r.Path)
		}
		switch {
		case within(r.Path, ownModules):
		case direct:
			m.Direct = append(m.Direct, Dependency{Path: r.Path, Version: r.Version})
		default:
			m.Indirect = append(m.Indirect, r.Path)
		}
	}
	return m, nil
}

var (
	section     = regexp.MustCompile("^## .*`([^`]*go\\.mod)`")
	directRow   = regexp.MustCompile("^\\| `([^`]+)` \\|(.*)\\|$")
	indirectRow = regexp.MustCompile("^- `([^`]+)`$")
)

// ParseDependencies reads the document: per go.mod a level two heading that
// ends in its path, a table of direct modules, and a list of indirect ones.
func ParseDependencies(doc string) []Module {
	var modules []Module
	for line := range strings.Lines(doc) {
		line = strings.TrimSpace(line)
		if m := section.FindStringSubmatch(line); m != nil {
			modules = append(modules, Module{GoMod: m[1]})
		}
		if len(modules) == 0 {
			continue
		}
		current := &modules[len(modules)-1]
		if m := directRow.FindStringSubmatch(line); m != nil {
			cells := append(strings.Split(m[2], "|"), "", "", "", "")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			current.Direct = append(current.Direct,
				Dependency{m[1], cells[0], cells[1], cells[2], cells[3]})
		}
		if m := indirectRow.FindStringSubmatch(line); m != nil {
			current.Indirect = append(current.Indirect, m[1])
		}
	}
	return modules
}

// FormatDependencies writes what ParseDependencies reads.
func FormatDependencies(modules []Module) string {
	var b strings.Builder
	for i, m := range modules {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "## `%s`\n", m.GoMod)
		if len(m.Direct) > 0 {
			b.WriteString("\n| Module | Version | Released | Licence | Why |\n|---|---|---|---|---|\n")
		}
		for _, d := range m.Direct {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n",
				d.Path, d.Version, d.Released, d.Licence, d.Why)
		}
		if len(m.Indirect) > 0 {
			b.WriteString("\nIndirect:\n\n")
		}
		for _, name := range m.Indirect {
			fmt.Fprintf(&b, "- `%s`\n", name)
		}
	}
	return b.String()
}

// CompareDependencies returns one line per difference between what the go.mod
// files require and what the document lists.
func CompareDependencies(required, listed []Module) []string {
	var problems []string
	report := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf(format, args...))
	}
	for _, want := range required {
		i := slices.IndexFunc(listed, func(m Module) bool { return m.GoMod == want.GoMod })
		if i < 0 {
			report("%s: no section", want.GoMod)
			continue
		}
		for _, line := range compareModule(want, listed[i]) {
			report("%s: %s", want.GoMod, line)
		}
	}
	for _, m := range listed {
		if !slices.ContainsFunc(required, func(r Module) bool { return r.GoMod == m.GoMod }) {
			report("%s: listed, but there is no such file", m.GoMod)
		}
	}
	return problems
}

func compareModule(want, got Module) []string {
	var problems []string
	report := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf(format, args...))
	}
	for _, d := range want.Direct {
		i := slices.IndexFunc(got.Direct, func(g Dependency) bool { return g.Path == d.Path })
		if i < 0 {
			report("%s is required and not listed as direct", d.Path)
			continue
		}
		row := got.Direct[i]
		if row.Version != d.Version {
			report("%s is listed at %s and required at %s", d.Path, row.Version, d.Version)
		}
		if row.Released == "" || row.Licence == "" || row.Why == "" {
			report("%s lacks a release date, a licence or a reason", d.Path)
		}
	}
	for _, d := range got.Direct {
		if !slices.ContainsFunc(want.Direct, func(w Dependency) bool { return w.Path == d.Path }) {
			report("%s is listed as direct and not required so", d.Path)
		}
	}
	for _, name := range want.Indirect {
		if !slices.Contains(got.Indirect, name) {
			report("%s is required and not listed as indirect", name)
		}
	}
	for _, name := range got.Indirect {
		if !slices.Contains(want.Indirect, name) {
			report("%s is listed as indirect and not required so", name)
		}
	}
	return problems
}

// within reports whether path is prefix or lies below it.
func within(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

// goCommand runs the go command in dir on that module alone.
func goCommand(dir string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...) // #nosec G204 -- arguments are this package's own
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, &stderr)
	}
	return out, nil
}
