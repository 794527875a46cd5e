package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// verdict is what became of a mutant.
type verdict int

const (
	untried verdict = iota // not in the sample
	invalid                // does not compile
	killed
	survived
	equal // known to mean the same
)

// trial runs tests on the mutants of one package.
type trial struct {
	options
	*subject
	temp     string
	verdicts []verdict
	binaries []binary
}

// binary is a compiled test and the folder that it runs in.
type binary struct{ path, dir string }

// mutate tries the mutants of one package.
func mutate(ctx context.Context, o options, pattern string, known map[string]string) (*report, error) {
	s, err := load(ctx, o.root, pattern)
	if err != nil {
		return nil, err
	}
	temp, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	t := &trial{options: o, subject: s, temp: temp, verdicts: make([]verdict, len(s.mutants))}
	prefix := strings.TrimPrefix(filepath.ToSlash(pattern), "./") + "/"
	for i := range s.mutants {
		if _, ok := known[prefix+s.mutants[i].String()]; ok {
			t.verdicts[i] = equal
		}
	}
	packages := append([]string{pattern}, o.tests...)
	if err := t.build(ctx, packages); err != nil {
		return nil, err
	}
	if err := t.runAll(ctx); err != nil {
		return nil, err
	}
	return t.report(prefix), nil
}

// command prepares a go command in the module's root.
func (t *trial) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = t.root
	return cmd
}

// at is where a compiler error points.
var at = regexp.MustCompile(`(\w+\.go):(\d+):\d+: `)

// build compiles the tests with all mutants in. Mutants that do not compile are
// found by the lines that the compiler complains about, and left out.
func (t *trial) build(ctx context.Context, packages []string) error {
	for {
		overlay, err := t.write(t.temp, func(i int) bool {
			return t.verdicts[i] == untried
		})
		if err != nil {
			return err
		}
		out, err := t.command(ctx, "build", "-gcflags=-e", "-overlay="+overlay, t.dir).CombinedOutput()
		if err == nil {
			return t.compileTests(ctx, overlay, packages)
		}
		if !t.drop(string(out)) {
			return fmt.Errorf("%w\n%s", err, out)
		}
	}
}

// drop takes out the mutants of the lines named, and reports whether there were any.
func (t *trial) drop(output string) bool {
	dropped := false
	for _, match := range at.FindAllStringSubmatch(output, -1) {
		line, _ := strconv.Atoi(match[2])
		for i, m := range t.mutants {
			last := m.Line + strings.Count(m.Old, "\n")
			if t.verdicts[i] == untried && m.File == match[1] && m.Line <= line && line <= last {
				t.verdicts[i], dropped = invalid, true
			}
		}
	}
	return dropped
}

func (t *trial) compileTests(ctx context.Context, overlay string, packages []string) error {
	for i, pattern := range packages {
		b := binary{path: filepath.Join(t.temp, fmt.Sprintf("test%d", i))}
		out, err := t.command(ctx, "list", "-f", "{{.Dir}}", pattern).Output()
		if err != nil {
			return err
		}
		b.dir = strings.TrimSpace(string(out))
		out, err = t.command(ctx, "test", "-c", "-vet=off", "-o", b.path,
			"-overlay="+overlay, pattern).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		if _, err := os.Stat(b.path); err == nil { // a package without tests has none
			t.binaries = append(t.binaries, b)
		}
	}
	if len(t.binaries) == 0 {
		return errors.New("no tests")
	}
	var output bytes.Buffer
	if !t.pass(ctx, 0, &output) {
		return fmt.Errorf("the instrumented tests fail without any mutant:\n%s", &output)
	}
	return nil
}

// pass reports whether the tests pass with a mutant switched on; 0 is none.
func (t *trial) pass(ctx context.Context, id int, output io.Writer) bool {
	for _, b := range t.binaries {
		cmd := exec.CommandContext(ctx, b.path /* #nosec G204 -- built above */, "-test.failfast", "-test.skip="+t.skip,
			"-test.timeout="+t.timeout.String())
		cmd.Dir = b.dir
		cmd.Env = append(os.Environ(), "SALLYPORT_MUTANT="+strconv.Itoa(id))
		cmd.Stdout, cmd.Stderr = output, output
		if cmd.Run() != nil {
			return false
		}
	}
	return true
}

// drawn returns the mutants to try.
func (t *trial) drawn() []int {
	var list []int
	for i, v := range t.verdicts {
		if v == untried && strings.Contains(t.mutants[i].File, t.only) {
			list = append(list, i)
		}
	}
	if t.sample > 0 && t.sample < len(list) {
		random := rand.New(rand.NewPCG(t.seed, 0)) // #nosec G404 -- a sample
		random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		list = list[:t.sample]
		slices.Sort(list)
	}
	return list
}

// runAll tries the mutants, several at a time, and shows how far it is.
func (t *trial) runAll(ctx context.Context) error {
	list := t.drawn()
	work := make(chan int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	done := 0
	for range t.workers {
		wg.Go(func() {
			for i := range work {
				v := killed
				if t.pass(ctx, i+1, io.Discard) {
					v = survived
				}
				mu.Lock()
				t.verdicts[i] = v
				done++
				fmt.Fprintf(os.Stderr, "\r%d of %d ", done, len(list))
				if t.verbose {
					fmt.Fprintln(os.Stderr, v == killed, t.mutants[i])
				}
				mu.Unlock()
			}
		})
	}
	for _, i := range list {
		if ctx.Err() == nil {
			work <- i
		}
	}
	close(work)
	wg.Wait()
	fmt.Fprintln(os.Stderr)
	return ctx.Err()
}

// report counts.
type report struct {
	total, dead    map[Kind]int
	alive          []string
	equal, invalid int
}

func (t *trial) report(prefix string) *report {
	r := &report{total: map[Kind]int{}, dead: map[Kind]int{}}
	for i, m := range t.mutants {
		if !strings.Contains(m.File, t.only) {
			continue
		}
		switch t.verdicts[i] {
		case killed:
			r.total[m.Kind]++
			r.dead[m.Kind]++
		case survived:
			r.total[m.Kind]++
			r.alive = append(r.alive, fmt.Sprintf("%s%s  (line %d)", prefix, m, m.Line))
		case equal:
			r.equal++
		case invalid:
			r.invalid++
		case untried:
		}
	}
	return r
}

// percent is the share of the logic mutants that are killed.
func (r *report) percent() float64 {
	var dead, total int
	for kind, n := range r.total {
		if kind != Statement {
			dead, total = dead+r.dead[kind], total+n
		}
	}
	return 100 * float64(dead) / float64(cmp.Or(total, 1))
}

func (r *report) print(w io.Writer, name string) {
	for _, line := range r.alive {
		fmt.Fprintln(w, line)
	}
	fmt.Fprintf(w, "%s: %.1f%% of the logic mutants killed", name, r.percent())
	for _, kind := range []Kind{Condition, Operator, Constant, Return, Statement} {
		fmt.Fprintf(w, ", %s %d of %d", kind, r.dead[kind], r.total[kind])
	}
	fmt.Fprintf(w, "; %d known to mean the same, %d did not compile\n", r.equal, r.invalid)
}
