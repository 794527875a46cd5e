// Command watchreplay says what the watcher would have told about traffic of the past:
// to tune rules before enabling them, and to judge them by traces of others.
//
//	watchreplay counts.csv                      time,count per line; the time as RFC 3339
//	watchreplay -svg out.svg -tz Europe/Istanbul counts.csv
//	watchreplay audit.jsonl                     records of package audit, one a line
//	psql -c "\copy (SELECT row_to_json(e) FROM events e ORDER BY time) TO STDOUT" | watchreplay -
//
// A line of JSON has "time" and "code" or "action", and may have "gate", "allowed" or
// "outcome", "policy", "tenant" and "actor" (a string, or an object with an "id"). Lines
// come in the order of their times. Watched are the series "counts" or "events" and
// "refused", and the share of what is refused.
//
// Alerts are printed as JSON, one a line, when they open, rise to a page or are resolved.
// Nothing leaves the machine. Exit code 0 says that the input was read, whatever was
// found, and 1 that it was not.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit/watch"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// options are what the flags say.
type options struct {
	svg, zone, file string
	quiet           bool
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("watchreplay", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.svg, "svg", "", "file for a picture of the counts and the alerts")
	flags.StringVar(&o.zone, "tz", "UTC", "whose days and weeks are meant")
	flags.BoolVar(&o.quiet, "quiet", false, "show no progress bar")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() != 1 {
		return o, errors.New("want one file, or - for standard input")
	}
	o.file = flags.Arg(0)
	return o, nil
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if err == nil {
		err = replay(o, stdin, stdout, stderr)
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "watchreplay:", err)
		return 1
	}
	return 0
}

func replay(o options, in io.Reader, stdout, stderr io.Writer) error {
	zone, err := time.LoadLocation(o.zone)
	if err != nil {
		return err
	}
	var size int64
	if o.file != "-" {
		f, err := os.Open(o.file)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		if info, err := f.Stat(); err == nil {
			size = info.Size()
		}
		in = f
	}
	p := &player{out: json.NewEncoder(stdout), zone: zone}
	if !o.quiet {
		p.bar = &bar{w: stderr, size: size}
	}
	if err := p.play(in); err != nil {
		return err
	}
	if o.svg == "" {
		return nil
	}
	return os.WriteFile(o.svg, p.picture(), 0o600)
}

// player plays lines to an engine.
type player struct {
	out    *json.Encoder
	zone   *time.Location
	bar    *bar
	engine *watch.Engine
	counts bool // a CSV file of counts
	minute time.Time
	width  int // of a bin, in minutes; 0 before two are known
	held   time.Time
	number int // of the bin that is held until the width is known
	hours  []float64
	first  time.Time
	alerts []watch.Alert
	failed error
}

// maxLine bounds a line.
const maxLine = 1 << 20

func (p *player) play(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	n := 0
	for lines.Scan() {
		n++
		if n == 1 {
			p.counts = len(lines.Bytes()) > 0 && lines.Bytes()[0] != '{'
			if err := p.open(); err != nil {
				return err
			}
		}
		if err := p.line(n, lines.Bytes()); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		p.bar.add(len(lines.Bytes()) + 1)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if p.engine == nil {
		return errors.New("there is nothing to replay")
	}
	p.to(p.minute.Add(time.Minute))
	p.bar.done()
	return p.failed
}

func (p *player) open() (err error) {
	cfg := watch.Config{Location: p.zone, OnAlert: p.told}
	if p.counts {
		cfg.Series = []watch.Series{{Name: "counts", Alone: true}}
	} else {
		cfg.Series = []watch.Series{
			{Name: "events"}, {Name: "refused", Match: watch.Match{Outcome: watch.Refused}},
		}
		cfg.Ratios = []watch.Ratio{
			{Name: "refused-share", Part: "refused", Whole: "events", Usual: 0.03},
		}
	}
	p.engine, err = watch.New(cfg)
	return err
}

func (p *player) told(_ context.Context, alerts []watch.Alert) error {
	for _, a := range alerts {
		p.alerts = append(p.alerts, a)
		if err := p.out.Encode(a); err != nil {
			p.failed = err
		}
	}
	return nil
}

// line plays one line. The first of a CSV file may be its heading.
func (p *player) line(n int, text []byte) error {
	if len(text) == 0 {
		return nil
	}
	if p.counts {
		at, count, err := parseCount(text)
		if err != nil {
			if n == 1 {
				return nil
			}
			return err
		}
		return p.bin(at, count)
	}
	at, event, err := parseEvent(text)
	if err != nil {
		return err
	}
	if err := p.at(at); err != nil {
		return err
	}
	p.observe(event, 1)
	return nil
}

// bin plays the count of a bin, spread over its minutes.
func (p *player) bin(at time.Time, count int) error {
	if p.width > 0 {
		return p.spread(at, count)
	}
	if p.held.IsZero() {
		p.held, p.number = at, count
		return nil
	}
	p.width = min(max(int(at.Sub(p.held)/time.Minute), 1), 60)
	return errors.Join(p.spread(p.held, p.number), p.spread(at, count))
}

func (p *player) spread(at time.Time, count int) error {
	for i := range p.width {
		if err := p.at(at.Add(time.Duration(i) * time.Minute)); err != nil {
			return err
		}
		p.observe(sallyport.Event{Code: "count", Allowed: true},
			count*(i+1)/p.width-count*i/p.width)
	}
	return nil
}

// at moves the clock to the minute of a line.
func (p *player) at(t time.Time) error {
	minute := t.Truncate(time.Minute)
	if p.first.IsZero() {
		p.first, p.minute = minute, minute
		p.to(minute.Add(-time.Minute)) // the first minute is whole
		p.to(minute)
		return nil
	}
	if minute.Before(p.minute) {
		return errors.New("its time is before that of the line above")
	}
	if !p.counts { // minutes without an event are minutes with none
		for next := p.minute.Add(time.Minute); next.Before(minute); next = next.Add(time.Minute) {
			p.to(next)
		}
	}
	if minute.After(p.minute) {
		p.to(minute)
	}
	p.minute = minute
	return nil
}

func (p *player) to(t time.Time) { p.engine.Advance(context.Background(), t) }

func (p *player) observe(e sallyport.Event, times int) {
	for range times {
		p.engine.Observe(context.Background(), e)
	}
	hour := int(p.minute.Sub(p.first) / time.Hour)
	for len(p.hours) <= hour && len(p.hours) < maxHours {
		p.hours = append(p.hours, 0)
	}
	if hour < maxHours {
		p.hours[hour] += float64(times)
	}
}

// maxHours bounds the picture: five years.
const maxHours = 5 * 366 * 24
