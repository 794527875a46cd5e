package main

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"time"
)

// bar shows on a terminal how much of the input was read. A nil bar shows nothing.
type bar struct {
	w         io.Writer
	size      int64 // 0 where it is not known
	read      int64
	lastShown int64
}

func (b *bar) add(n int) {
	if b == nil {
		return
	}
	b.read += int64(n)
	if b.read-b.lastShown < max(b.size/100, 1<<20) {
		return
	}
	b.lastShown = b.read
	if b.size == 0 {
		_, _ = fmt.Fprintf(b.w, "\r%d MiB", b.read>>20)
		return
	}
	const width = 40
	done := int(min(b.read, b.size) * width / b.size)
	_, _ = fmt.Fprintf(b.w, "\r[%-*s] %3d%%", width, bytes.Repeat([]byte("#"), done),
		min(b.read, b.size)*100/b.size)
}

func (b *bar) done() {
	if b != nil && b.lastShown > 0 {
		_, _ = fmt.Fprintln(b.w)
	}
}

const (
	pictureWidth, pictureHeight = 1200, 300
	margin                      = 30
)

// picture draws events per hour, and a line for each alert that opened: pages in red.
func (p *player) picture() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">`,
		pictureWidth, pictureHeight)
	fmt.Fprintf(&b, "<title>Events per hour from %s, and %d alerts</title>\n",
		p.first.Format(time.DateOnly), len(p.alerts))
	top := 1.0
	for _, n := range p.hours {
		top = max(top, n)
	}
	x := func(hour float64) float64 {
		return margin + hour*(pictureWidth-2*margin)/float64(max(len(p.hours), 1))
	}
	b.WriteString(`<polyline fill="none" stroke="#456" points="`)
	for i, n := range p.hours {
		fmt.Fprintf(&b, "%.1f,%.1f ", x(float64(i)),
			pictureHeight-margin-n/top*(pictureHeight-2*margin))
	}
	b.WriteString("\"/>\n")
	for _, a := range p.alerts {
		if !a.Ended.IsZero() {
			continue
		}
		colour := "#c80"
		if a.Tier.String() == "page" {
			colour = "#c00"
		}
		at := x(a.Since.Sub(p.first).Hours())
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="%s">`,
			at, at, margin, pictureHeight-margin, colour)
		fmt.Fprintf(&b, "<title>%s</title></line>\n", html.EscapeString(fmt.Sprintf("%s %s %s: %s",
			a.Since.Format(time.RFC3339), a.Tier, a.Code, a.Condition)))
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}
