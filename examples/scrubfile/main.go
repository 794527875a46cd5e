// Command scrubfile scrubs files or standard input, so that you can try the
// detectors on your own logs before you adopt them:
//
//	go run ./examples/scrubfile app.log > clean.log
//	journalctl -u app | go run ./examples/scrubfile > clean.log
//	go run ./examples/scrubfile -summary -only card,token *.log
//	go run ./examples/scrubfile -explain -preset logs *.log     # each removal, and its rule
//	go run ./examples/scrubfile -check -summary testdata/*.log  # in CI: fails on a find
//
// The clean text goes to standard output; on a terminal a progress bar, and
// always a table of what was found, go to standard error. The files are not
// changed.
//
// The exit code is 0, or 3 with -check if anything would be removed; 1 after an
// error, 2 after a mistake on the command line.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/opsmantik/sallyport/scrub"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errFound):
		os.Exit(3)
	case errors.As(err, new(*usageError)):
		fmt.Fprintln(os.Stderr, "scrubfile:", err)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "scrubfile:", err)
		os.Exit(1)
	}
}

// errFound is the outcome of -check: exit code 3.
var errFound = errors.New("something would be removed")

// usageError is a mistake on the command line: exit code 2.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }

func run(ctx context.Context, args []string, in io.Reader, out, status io.Writer) error {
	flags := flag.NewFlagSet("scrubfile", flag.ContinueOnError)
	flags.SetOutput(status)
	flags.Usage = func() {
		fmt.Fprintln(status, "usage: scrubfile [flags] [file ...]    (no file: standard input)")
		flags.PrintDefaults()
	}
	only := flags.String("only", "",
		"comma list of detectors, such as email,card (default the preset's)")
	preset := flags.String("preset", "", "logs, errors or everything (default errors)")
	allow := flags.String("allow", "", "comma list of values, networks and @domains that stay")
	allowRules := flags.String("allow-rule", "", "comma list of rules that are switched off")
	summary := flags.Bool("summary", false, "print the summary alone, not the clean text")
	why := flags.Bool("explain", false,
		"print each removal in its line with its rule, instead of the clean text")
	check := flags.Bool("check", false, "exit with 3 if anything would be removed")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return &usageError{err}
	}
	cfg := scrub.Config{
		Preset: scrub.Preset(*preset), Allow: list(*allow), AllowRules: list(*allowRules),
	}
	for _, name := range list(*only) {
		cfg.Detectors = append(cfg.Detectors, scrub.Detector(name))
	}
	s, err := scrub.New(cfg)
	if err != nil {
		return &usageError{err}
	}
	j := job{s: s, out: out, bar: newBar(status)}
	if *summary {
		j.out = io.Discard
	}
	if *why {
		j.why = &explained{}
	}
	if err := j.all(ctx, flags.Args(), in); err != nil {
		return err
	}
	printSummary(status, j.total, j.bytes, j.bar.elapsed())
	if j.why != nil {
		j.why.print(status)
	}
	if *check && j.total.Total() > 0 {
		return errFound
	}
	return nil
}

// list splits a comma list; an empty one has nothing.
func list(text string) (all []string) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

// job scrubs its inputs one after the other.
type job struct {
	s     *scrub.Scrubber
	out   io.Writer
	bar   *bar
	total scrub.Report
	bytes int64
	why   *explained // with -explain
}

func (j *job) all(ctx context.Context, names []string, in io.Reader) error {
	if len(names) == 0 {
		return j.one(ctx, "standard input", in, 0)
	}
	for _, name := range names {
		if err := j.file(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (j *job) file(ctx context.Context, name string) error {
	f, err := os.Open(name) // #nosec G304 -- opening the named file is the purpose
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("%s is a directory; name files", name)
	}
	return j.one(ctx, name, f, info.Size())
}

// one streams in through a Writer: memory stays small whatever the size.
func (j *job) one(ctx context.Context, name string, in io.Reader, size int64) error {
	if j.why != nil {
		return j.explain(ctx, name, in, j.out)
	}
	w := j.s.NewWriter(j.out)
	j.bar.start(name, size)
	defer j.bar.stop()
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("interrupted in %s", name)
		}
		n, err := in.Read(buf)
		if _, werr := w.Write(buf[:n]); werr != nil {
			return werr
		}
		j.bytes += int64(n)
		j.bar.add(int64(n))
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	j.total = j.total.Add(w.Report())
	return nil
}
