// Package configerr collects the problems of a configuration, so that an
// operator sees all of them at once.
package configerr

import (
	"errors"

	"github.com/opsmantik/sallyport"
)

// List collects the problems of one gate's configuration.
type List struct {
	gate string
	errs []error
}

// For returns an empty list for a gate.
func For(gate string) *List { return &List{gate: gate} }

// Add notes a problem. Code is one of the Config constants of sallyport; value
// may be empty, and is never a secret.
func (l *List) Add(field, value, code, fix string) {
	l.errs = append(l.errs, &sallyport.ConfigError{
		Gate: l.gate, Field: field, Value: value, Code: code, Fix: fix,
	})
}

// Join adds errors that are there already, such as those of a part.
func (l *List) Join(errs ...error) {
	for _, err := range errs {
		if err != nil {
			l.errs = append(l.errs, err)
		}
	}
}

// Err returns all problems joined, or nil.
func (l *List) Err() error { return errors.Join(l.errs...) }
