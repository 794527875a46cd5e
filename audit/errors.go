package audit

import (
	"errors"
	"fmt"
)

var (
	// ErrInvalid: a record that must not be written, or bytes that Encode did not
	// make.
	ErrInvalid = errors.New("audit: invalid record")
	// ErrTooLarge: an entry above MaxEntry.
	ErrTooLarge = errors.New("audit: entry too large")
	// ErrTampered: the entries are not those that the tree head was made of.
	ErrTampered = errors.New("audit: entries do not match the tree head")
	// ErrClosed: the log was closed before the record was queued.
	ErrClosed = errors.New("audit: log closed")
	// ErrUnknown: the caller stopped waiting; the record may have been written.
	ErrUnknown = errors.New("audit: outcome unknown")
	// ErrLocked: another Log, here or in another process, has the file open. Close
	// it, or give each its own file.
	ErrLocked = errors.New("audit: file is open in another log; close it or use another path")
	// ErrBroken: a write or fsync failed, now or earlier. The record may have been
	// written. Close the log, find the cause, and open the file again.
	ErrBroken = errors.New("audit: log broken")
)

// ConfigError is one problem in a [Config]. New returns all of them joined.
type ConfigError struct{ Field, Value, Reason string }

func (e *ConfigError) Error() string {
	return fmt.Sprintf("audit: %s: %q: %s", e.Field, e.Value, e.Reason)
}

// CorruptError is damage in a log file. It matches [ErrTampered].
type CorruptError struct {
	Index  int64 // of the first entry that is not right
	Offset int64 // of its line in the file
	Torn   bool  // it is the last line, and lacks its end: a crash cut it short
}

func (e *CorruptError) Error() string {
	what := "line does not fit the tree"
	if e.Torn {
		what = "last line is incomplete"
	}
	return fmt.Sprintf("audit: entry %d at byte %d: %s", e.Index, e.Offset, what)
}

// Is makes it match ErrTampered.
func (e *CorruptError) Is(target error) bool { return target == ErrTampered }
