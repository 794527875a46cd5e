package scrub

import (
	"iter"

	"github.com/opsmantik/sallyport/scrub/internal/engine"
)

// Span is one removal, as [Scrubber.Spans] returns it.
type Span struct {
	Offset, Length int // in bytes
	Detector       Detector
	// Rule is the name of what found it: "secret.password", "token.ghp_",
	// "phone.international". Config.AllowRules takes it.
	Rule string
}

// Spans returns where String would remove something from text, and why. It is
// for tuning and for tests: what it points at is what must not be logged.
func (s *Scrubber) Spans(text string) []Span {
	if s.unusable() {
		return nil
	}
	found := s.engine.Spans(text)
	spans := make([]Span, len(found))
	for i, f := range found {
		spans[i] = Span{f.Start, f.End - f.Start, s.names[f.Detector], f.Rule}
	}
	return spans
}

// Report counts what was replaced, by detector. It never holds an original,
// a position or a length, so it may be logged. The zero value counts nothing.
type Report struct {
	names  []Detector
	counts engine.Counts
}

// Total returns the number of replacements.
func (r Report) Total() int { return r.counts.Total() }

// Count returns the number of replacements made by d.
func (r Report) Count(d Detector) int {
	for i, name := range r.names {
		if name == d {
			return r.counts[i]
		}
	}
	return 0
}

// All yields every detector that replaced something, in a stable order.
func (r Report) All() iter.Seq2[Detector, int] {
	return func(yield func(Detector, int) bool) {
		for i, name := range r.names {
			if r.counts[i] > 0 && !yield(name, r.counts[i]) {
				return
			}
		}
	}
}

// Add returns the sum of two reports of the same Scrubber.
func (r Report) Add(other Report) Report {
	if r.names == nil {
		r.names = other.names
	}
	for i, n := range other.counts {
		r.counts[i] += n
	}
	return r
}
