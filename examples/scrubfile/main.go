// Command scrubfile scrubs files or standard input, so that you can try the
// detectors on your own logs before you adopt them:
//
//	go run ./examples/scrubfile app.log > clean.log
//	journalctl -u app | go run ./examples/scrubfile > clean.log
//	go run ./examples/scrubfile -summary -only card,token *.log
//
// The clean text goes to standard output; on a terminal a progress bar, and
// always a table of what was found, go to standard error. The files are not
// changed.
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
	case errors.As(err, new(*usageError)):
		fmt.Fprintln(os.Stderr, "scrubfile:", err)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "scrubfile:", err)
		os.Exit(1)
	}
}

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
		"comma list of detectors: email,card,token,secret,phone,iban,ip,ssn (default all)")
	summary := flags.Bool("summary", false, "print the summary alone, not the clean text")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return &usageError{err}
	}
	var cfg scrub.Config
	for name := range strings.SplitSeq(*only, ",") {
		if name = strings.TrimSpace(name); name != "" {
			cfg.Detectors = append(cfg.Detectors, scrub.Detector(name))
		}
	}
	s, err := scrub.New(cfg)
	if err != nil {
		return &usageError{err}
	}
	if *summary {
		out = io.Discard
	}
	j := job{s: s, out: out, bar: newBar(status)}
	if err := j.all(ctx, flags.Args(), in); err != nil {
		return err
	}
	printSummary(status, j.total, j.bytes, j.bar.elapsed())
	return nil
}

// job scrubs its inputs one after the other.
type job struct {
	s     *scrub.Scrubber
	out   io.Writer
	bar   *bar
	total scrub.Report
	bytes int64
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
