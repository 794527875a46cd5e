// Command mutate breaks the code of packages in one small way after another and
// reports which changes no test notices.
//
//	go -C tools/lint/mutate run . -root ../../.. ./cors ./hmacsig
//
// All mutants of a package are built into one test binary, and each run of it
// switches one on. A mutant is killed when the tests of its package, or of a
// package that -tests names, fail or run into the timeout. Survivors that cannot be
// killed, because the code means the same, are listed in known.txt with their reason.
//
// Exit code: 0 when at least -min percent of the logic mutants are killed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"time"
)

type options struct {
	root, known, only string
	skip              string
	tests             []string
	timeout           time.Duration
	workers, sample   int
	seed              uint64
	minimum           float64
	verbose           bool
}

func main() {
	var o options
	var tests string
	flag.StringVar(&o.root, "root", ".", "root of the module under test")
	flag.StringVar(&o.known, "known", "known.txt", "survivors that are known, with reasons")
	flag.StringVar(&o.only, "only", "", "mutate only files whose name contains this")
	flag.StringVar(&o.skip, "skip", "^$", "leave out tests that match, such as slow ones")
	flag.StringVar(&tests, "tests", "", "further packages whose tests count, comma-separated")
	flag.DurationVar(&o.timeout, "timeout", 30*time.Second, "for the tests of one mutant")
	flag.IntVar(&o.workers, "workers", runtime.GOMAXPROCS(0), "mutants at a time")
	flag.IntVar(&o.sample, "sample", 0, "try so many mutants, drawn by chance; 0 means all")
	flag.Uint64Var(&o.seed, "seed", 1, "of the sample")
	flag.Float64Var(&o.minimum, "min", 95, "percent of logic mutants to be killed")
	flag.BoolVar(&o.verbose, "v", false, "print every mutant and what became of it")
	flag.Parse()
	if tests != "" {
		o.tests = strings.Split(tests, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	ok, err := run(ctx, o, flag.Args())
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(2)
	case !ok:
		os.Exit(1)
	}
}

// run mutates one package after another and prints a summary of each.
func run(ctx context.Context, o options, packages []string) (bool, error) {
	if len(packages) == 0 {
		return false, errors.New("name at least one package, such as ./cors")
	}
	known, err := readKnown(o.known)
	if err != nil {
		return false, err
	}
	ok := true
	for _, p := range packages {
		r, err := mutate(ctx, o, p, known)
		if err != nil {
			return false, fmt.Errorf("%s: %w", p, err)
		}
		r.print(os.Stdout, p)
		ok = ok && r.percent() >= o.minimum
	}
	return ok, nil
}

// readKnown reads lines of the form "mutant | reason". Empty lines and lines that
// begin with # do not count.
func readKnown(path string) (map[string]string, error) {
	text, err := os.ReadFile(path) // #nosec G304 -- named by whoever runs it
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	known := map[string]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		at := strings.LastIndex(line, " | ")
		if at < 0 || strings.TrimSpace(line[at+3:]) == "" {
			return nil, fmt.Errorf("%s: a survivor without a reason: %q", path, line)
		}
		known[line[:at]] = line[at+3:]
	}
	return known, err
}
