package audit

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/opsmantik/sallyport/internal/refusal"
)

// gate names this package in refusals, events and configuration errors.
const gate = "audit"

// The codes of [Log.Append]. A record that cannot be written is a refusal of the
// action: a handler may answer with it as it is.
const (
	// CodeRecorded: the record is durable. Never a refusal.
	CodeRecorded = "audit_recorded"
	// CodeNotConfigured, 503: the log was not made by [New].
	CodeNotConfigured = "audit_not_configured"
	// CodeRecordInvalid, 500: the record lacks a part, or is too large. Nothing was
	// written. The error matches [ErrInvalid].
	CodeRecordInvalid = "audit_record_invalid"
	// CodeInsideHook, 500: OnEvent called Append of the log that called it. Nothing
	// was written: each record would lead to another one without end.
	CodeInsideHook = "audit_inside_hook"
	// CodeNotQueued, 503: the caller's context ended while the queue was full.
	// Nothing was written.
	CodeNotQueued = "audit_not_queued"
	// CodeOutcomeUnknown, 503: the caller's context ended while the record was being
	// written. It may be in the log or not; do not simply try again.
	CodeOutcomeUnknown = "audit_outcome_unknown"
	// CodeLogBroken, 503: a write or fsync failed, now or earlier, or the file was
	// moved, removed or changed by somebody else. The record may have been written.
	// Close the log, find the cause, and open it again.
	CodeLogBroken = "audit_log_broken"
	// CodeLogClosed, 503: [Log.Close] was called. Nothing was written.
	CodeLogClosed = "audit_log_closed"
)

var kinds = []refusal.Kind{
	{Code: CodeNotConfigured, Status: http.StatusServiceUnavailable, Title: "Audit log not configured"},
	{Code: CodeRecordInvalid, Status: http.StatusInternalServerError, Title: "Audit record invalid"},
	{Code: CodeInsideHook, Status: http.StatusInternalServerError, Title: "Audit record inside a hook"},
	{Code: CodeNotQueued, Status: http.StatusServiceUnavailable, Title: "Audit log busy"},
	{Code: CodeOutcomeUnknown, Status: http.StatusServiceUnavailable, Title: "Audit outcome unknown"},
	{Code: CodeLogBroken, Status: http.StatusServiceUnavailable, Title: "Audit log unavailable"},
	{Code: CodeLogClosed, Status: http.StatusServiceUnavailable, Title: "Audit log closed"},
}

var (
	// ErrInvalid is matched by the error for a record that must not be written, and
	// for bytes that [Record.Encode] did not make.
	ErrInvalid = errors.New("audit: invalid record")
	// ErrTampered is matched by the error for entries that are not those that the
	// tree was made of. A [*CorruptError] matches it too.
	ErrTampered = errors.New("audit: entries do not match the tree")
)

// CorruptError is damage in a log file. It matches [ErrTampered].
type CorruptError struct {
	File   string // name of the segment
	Index  int64  // of the first entry that is not right
	Offset int64  // of its batch in the file
	Torn   bool   // a crash explains it: the batch is the last one of the file, and cut short
}

// Error says where the damage is.
func (e *CorruptError) Error() string {
	what := "does not fit the tree"
	if e.Torn {
		what = "was cut short by a crash"
	}
	return fmt.Sprintf("audit: %s: entry %d: the batch at byte %d %s", e.File, e.Index, e.Offset, what)
}

// Is makes it match ErrTampered.
func (e *CorruptError) Is(target error) bool { return target == ErrTampered }
