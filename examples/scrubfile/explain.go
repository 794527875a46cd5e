package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/opsmantik/sallyport/scrub"
)

// explained counts what -explain found, by rule.
type explained struct {
	rules map[string]*ruleCount
	total int
}

type ruleCount struct {
	rule   string
	n      int
	values map[string]int // how often each text was removed
}

// maxExplained bounds a line that -explain reads.
const maxExplained = 16 << 20

// explain prints each removal in its line, with the rule that removed it:
//
//	app.log:17: token.jwt: ... token=«eyJhbGci...»; path=/ ...
//
// It shows what it found, on the terminal of somebody who has the file anyway.
func (j *job) explain(ctx context.Context, name string, in io.Reader, to io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxExplained)
	for n := 1; lines.Scan(); n++ {
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted in %s", name)
		}
		text := lines.Text()
		j.bytes += int64(len(text) + 1)
		for _, sp := range j.s.Spans(text) {
			removed := text[sp.Offset : sp.Offset+sp.Length]
			j.why.add(sp.Rule, removed)
			fmt.Fprintf(to, "%s:%d: %s: %s\n", name, n, sp.Rule, around(text, sp))
		}
		_, rep := j.s.String(text)
		j.total = j.total.Add(rep)
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("%s has a line of more than 16 MiB", name)
	}
	return lines.Err()
}

const (
	contextWidth = 40 // characters before and after a removal
	removedWidth = 80 // of the removal itself
)

// around returns the removal in guillemets with what stands around it, made
// safe for a terminal.
func around(text string, sp scrub.Span) string {
	end := sp.Offset + sp.Length
	before, after := text[:sp.Offset], text[end:]
	if len(before) > contextWidth {
		before = "..." + before[len(before)-contextWidth:]
	}
	if len(after) > contextWidth {
		after = after[:contextWidth] + "..."
	}
	removed := text[sp.Offset:end]
	if len(removed) > removedWidth {
		removed = removed[:removedWidth] + "..."
	}
	printable := func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}
	line := strings.ToValidUTF8(before+"«"+removed+"»"+after, "?")
	return strings.Map(printable, line)
}

func (e *explained) add(rule, removed string) {
	if e.rules == nil {
		e.rules = map[string]*ruleCount{}
	}
	c := e.rules[rule]
	if c == nil {
		c = &ruleCount{rule: rule, values: map[string]int{}}
		e.rules[rule] = c
	}
	c.n++
	if len(c.values) < 1000 { // enough to tell many from few
		c.values[removed]++
	}
	e.total++
}

// print prints the rules that removed most, as candidates for -allow-rule. A
// rule that removed few texts many times often met an identifier.
func (e *explained) print(w io.Writer) {
	if e.total == 0 {
		return
	}
	all := make([]*ruleCount, 0, len(e.rules))
	for _, c := range e.rules {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *ruleCount) int {
		return cmp.Or(cmp.Compare(b.n, a.n), strings.Compare(a.rule, b.rule))
	})
	fmt.Fprintf(w, "%-32s %9s %9s\n", "RULE", "REMOVED", "DISTINCT")
	sum, most := 0, 0
	for i, c := range all {
		fmt.Fprintf(w, "%-32s %9d %9d\n", c.rule, c.n, len(c.values))
		if sum += c.n; most == 0 && sum*100 >= e.total*95 {
			most = i + 1
		}
	}
	fmt.Fprintf(w, "%d of %d rules removed 95%%: look at theirs first; -allow-rule switches one off\n",
		most, len(all))
}
