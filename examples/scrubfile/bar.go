package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/opsmantik/sallyport/scrub"
)

const (
	barWidth  = 28
	nameWidth = 24
	redraw    = 100 * time.Millisecond
)

// bar draws one line of progress, on a terminal only: in a pipe or a CI log
// it stays silent.
type bar struct {
	w           io.Writer
	live        bool
	began, last time.Time
	from        time.Time // of this input
	name        string
	done, size  int64
}

func newBar(w io.Writer) *bar {
	f, ok := w.(*os.File)
	if !ok {
		return &bar{w: w, began: time.Now()}
	}
	info, err := f.Stat()
	live := err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	return &bar{w: w, live: live, began: time.Now()}
}

func (b *bar) start(name string, size int64) {
	b.name, b.size, b.done, b.from = shorten(name), size, 0, time.Now()
	b.draw()
}

func (b *bar) add(n int64) {
	if b.done += n; time.Since(b.last) >= redraw {
		b.draw()
	}
}

// stop clears the line.
func (b *bar) stop() {
	if b.live {
		fmt.Fprint(b.w, "\r\x1b[K")
	}
}

func (b *bar) elapsed() time.Duration { return time.Since(b.began) }

func (b *bar) draw() {
	if !b.live {
		return
	}
	b.last = time.Now()
	fmt.Fprint(b.w, "\r\x1b[K", b.line(b.last.Sub(b.from)))
}

// line returns the text of the bar after some time.
func (b *bar) line(spent time.Duration) string {
	rate := float64(b.done) / max(spent.Seconds(), 0.001)
	if b.size <= 0 {
		return fmt.Sprintf("%-*s %9s  %9s/s", nameWidth, b.name,
			bytesText(b.done), bytesText(int64(rate)))
	}
	share := min(1, float64(b.done)/float64(b.size))
	full := int(share * barWidth)
	left := time.Duration(0)
	if rate > 0 {
		left = time.Duration(float64(b.size-b.done) / rate * float64(time.Second)).Round(time.Second)
	}
	return fmt.Sprintf("%-*s [%s%s] %3.0f%%  %9s/s  %s left", nameWidth, b.name,
		strings.Repeat("#", full), strings.Repeat(".", barWidth-full), share*100,
		bytesText(int64(rate)), max(0, left))
}

func shorten(name string) string {
	runes := []rune(name)
	if len(runes) <= nameWidth {
		return name
	}
	return "..." + string(runes[len(runes)-nameWidth+3:])
}

func bytesText(n int64) string {
	for i, unit := range [...]string{"B", "KiB", "MiB", "GiB"} {
		if shift := 10 * i; n < 1<<(shift+10) || unit == "GiB" {
			if i == 0 {
				return fmt.Sprintf("%d B", n)
			}
			return fmt.Sprintf("%.1f %s", float64(n)/float64(int64(1)<<shift), unit)
		}
	}
	return ""
}

// printSummary prints what was found, without any of it.
func printSummary(w io.Writer, r scrub.Report, n int64, spent time.Duration) {
	fmt.Fprintf(w, "%-12s %9s\n", "DETECTOR", "REPLACED")
	for d, count := range r.All() {
		fmt.Fprintf(w, "%-12s %9d\n", d, count)
	}
	fmt.Fprintf(w, "%-12s %9d\n", "total", r.Total())
	fmt.Fprintf(w, "%s read in %s\n", bytesText(n), spent.Round(time.Millisecond))
}
