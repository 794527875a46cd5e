package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// switches is the file that every mutated package gains.
const switches = `package %s

import "os"
import "strconv"

var mutantZ, _ = strconv.Atoi(os.Getenv("SALLYPORT_MUTANT"))

func zeroZ[T any](id int, v T) T {
	if id == mutantZ {
		var zero T
		return zero
	}
	return v
}

type numberZ interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 |
		~uintptr | ~float32 | ~float64
}

func plusZ[T numberZ](id int, v T) T {
	if id == mutantZ {
		return v + 1
	}
	return v
}

func insteadZ[T any](id int, v T, other func() T) T {
	if id == mutantZ {
		return other()
	}
	return v
}
`

// subject is the package under mutation.
type subject struct {
	dir, name string // folder, absolute; package name
	files     []string
	sources   map[string][]byte
	mutants   []Mutant // Mutant i has the number i + 1
}

// listed is what go list says of a package.
type listed struct {
	ImportPath, Dir, Name, Export string
	GoFiles                       []string
	ImportMap                     map[string]string
}

// load parses and type-checks a package and finds its mutants.
func load(ctx context.Context, root, pattern string) (*subject, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-export", "-deps",
		"-json=ImportPath,Dir,Name,Export,GoFiles,ImportMap", pattern)
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	exports := map[string]string{}
	var target listed
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		exports[p.ImportPath] = p.Export
		target = p // the pattern's own package comes last
	}
	s := &subject{dir: target.Dir, name: target.Name, files: target.GoFiles, sources: map[string][]byte{}}
	return s, s.check(target, exports)
}

func (s *subject) check(target listed, exports map[string]string) error {
	fset := token.NewFileSet()
	files := make([]*ast.File, len(s.files))
	for i, name := range s.files {
		source, err := os.ReadFile(filepath.Join(s.dir, name)) // #nosec G304 -- as go list says
		if err != nil {
			return err
		}
		s.sources[name] = source
		files[i], err = parser.ParseFile(fset, name, source, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
	}
	config := types.Config{Importer: importer.ForCompiler(fset, "gc",
		func(path string) (io.ReadCloser, error) {
			return os.Open(exports[cmp.Or(target.ImportMap[path], path)])
		})}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	pkg, err := config.Check(target.ImportPath, fset, files, info)
	if err != nil {
		return err
	}
	for i, name := range s.files {
		w := &walker{name: name, source: s.sources[name], fset: fset, info: info, pkg: pkg}
		s.mutants = append(s.mutants, w.mutants(files[i])...)
	}
	return nil
}

// insertion is a text that goes into a file.
type insertion struct {
	at    int
	order int // among those at one place
	text  string
}

// instrument returns a file with all the mutants that wanted accepts.
func (s *subject) instrument(name string, wanted func(i int) bool) []byte {
	var inserts []insertion
	for i, m := range s.mutants {
		if m.File != name || !wanted(i) {
			continue
		}
		id := func(text string) string { return strings.ReplaceAll(text, "%d", fmt.Sprint(i+1)) }
		// Of two around one place the longer is the outer one; of two around the same
		// text the later.
		size := (m.End-m.Start)*len(s.mutants) + i
		inserts = append(inserts,
			insertion{m.Start, 1<<40 - size, id(m.before)}, // outer first, after all ends
			insertion{m.End, -(1 << 40) + size, id(m.after)})
	}
	slices.SortStableFunc(inserts, func(a, b insertion) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.order, b.order))
	})
	var out []byte
	last := 0
	for _, in := range inserts {
		out = append(append(out, s.sources[name][last:in.at]...), in.text...)
		last = in.at
	}
	return append(out, s.sources[name][last:]...)
}

// write lays the instrumented package beside the real one and returns the file
// for the go command's -overlay.
func (s *subject) write(temp string, wanted func(i int) bool) (string, error) {
	replace := map[string]string{}
	put := func(name string, text []byte) error {
		path := filepath.Join(temp, name)
		replace[filepath.Join(s.dir, name)] = path
		return os.WriteFile(path, text, 0o600)
	}
	err := put("zz_mutant.go", fmt.Appendf(nil, switches, s.name))
	for _, name := range s.files {
		err = errors.Join(err, put(name, s.instrument(name, wanted)))
	}
	text, _ := json.Marshal(map[string]any{"Replace": replace})
	overlay := filepath.Join(temp, "overlay.json")
	return overlay, errors.Join(err, os.WriteFile(overlay, text, 0o600))
}
