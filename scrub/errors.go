package scrub

import "errors"

// ErrDropped reports a value that could not be made safe: it was cyclic, too
// deep, too large, or its own code panicked. Nothing of it may leave.
var ErrDropped = errors.New("scrub: value dropped")
