// Package refusal holds the refusals of one gate, encoded once.
package refusal

import (
	"net/http"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/problem"
	"github.com/opsmantik/sallyport/internal/response"
)

// Kind is one way in which a gate refuses.
type Kind struct {
	Code   string
	Status int
	Title  string
}

// Refusal makes the refusal of this kind, with the default type URI.
func (k Kind) Refusal(gate string, cause error) *sallyport.Refusal {
	return &sallyport.Refusal{
		Gate: gate, Code: k.Code, Status: k.Status, Title: k.Title, Err: cause,
	}
}

// Table is every kind of a gate. It is immutable and safe for concurrent use.
type Table struct {
	gate, base string
	kinds      map[string]kind
}

type kind struct {
	Kind
	problem *problem.Problem
}

// NewTable encodes the problems of a gate. Base is its Config.ProblemBase.
func NewTable(gate, base string, kinds ...Kind) *Table {
	t := &Table{gate: gate, base: base, kinds: make(map[string]kind, len(kinds))}
	for _, k := range kinds {
		t.kinds[k.Code] = kind{k, problem.New(base, k.Status, k.Code, k.Title, nil)}
	}
	return t
}

// New makes a refusal. Code must be in the table.
func (t *Table) New(code string, cause error) *sallyport.Refusal {
	k := t.kinds[code]
	return &sallyport.Refusal{
		Gate: t.gate, Code: code, Status: k.Status, Title: k.Title, TypeBase: t.base, Err: cause,
	}
}

// Problem returns the encoded default answer to a code of the table.
func (t *Table) Problem(code string) *problem.Problem { return t.kinds[code].problem }

// Answer renders a refusal: the headers that belong to it, and then onReject,
// which may be nil, or the default answer. An onReject that answers nothing does
// not turn the refusal into a 200: the default answer follows. T may be nil, as
// in a zero gate.
func (t *Table) Answer(
	w http.ResponseWriter, r *http.Request, refused *sallyport.Refusal,
	onReject func(http.ResponseWriter, *http.Request, *sallyport.Refusal),
) {
	refused.SetHeader(w.Header())
	switch {
	case onReject != nil:
		rw := response.New(w, func(int) {})
		onReject(rw, r, refused)
		if !rw.Committed() {
			refused.Write(w)
		}
	case t != nil && refused.Members == nil && refused.Status == t.kinds[refused.Code].Status:
		t.kinds[refused.Code].problem.Write(w)
	default:
		refused.Write(w)
	}
}
