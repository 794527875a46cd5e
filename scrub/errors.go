package scrub

import (
	"errors"
	"fmt"
)

// ErrDropped reports a value that could not be made safe: it was cyclic, too
// deep, too large, or its own code panicked. Nothing of it may leave.
var ErrDropped = errors.New("scrub: value dropped")

// ConfigError is one problem in a Config. New returns all of them joined.
type ConfigError struct {
	Field  string // the field of Config, as written in Go
	Value  string // the offending value; never a pseudonym key or an allowed value
	Reason string // what is wrong and what is wanted
}

func (e *ConfigError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("scrub: %s: %s", e.Field, e.Reason)
	}
	return fmt.Sprintf("scrub: %s: %q %s", e.Field, e.Value, e.Reason)
}
