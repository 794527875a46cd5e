package privacy

import (
	"context"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
)

// Format is how Export writes.
type Format string

// The formats.
const (
	JSON Format = "json" // one object with an array of records
	CSV  Format = "csv"  // one row for each value of each record
)

// entry is what the log knows of a person in one record.
type entry struct {
	Index   int64             `json:"index"`
	Time    time.Time         `json:"time"`
	Role    string            `json:"role"` // "actor", "target" or "mentioned"
	Action  string            `json:"action"`
	Outcome audit.Outcome     `json:"outcome"`
	Reason  *string           `json:"reason,omitempty"`
	Fields  map[string]*value `json:"fields,omitempty"`
}

// value is a text, or null where it was redacted or erased.
type value = string

// Export writes what the log knows of a subject: the records in which it acted, was
// acted on, or has sealed values. The export itself is recorded first. The handle of an
// erased subject is gone, so its sealed values are not found any more.
func (r *Register) Export(
	ctx context.Context, w io.Writer, format Format,
	tenant, subject string, by audit.Ref, reason string,
) error {
	if r == nil || r.sealer == nil {
		return errNotConfigured
	}
	var out writer
	switch format {
	case JSON:
		out = &jsonWriter{w: w, tenant: tenant, subject: subject}
	case CSV:
		out = &csvWriter{w: csv.NewWriter(w)}
	default:
		return fmt.Errorf("privacy: unknown format %q", format)
	}
	record, err := r.Prepare(ctx, audit.Record{
		Time: time.Now(), Actor: by, Tenant: tenant, Action: actionExport,
		Target: audit.Ref{Kind: "subject", ID: subject}, Outcome: audit.OutcomeSuccess, Reason: reason,
	}, "")
	if err != nil {
		return err
	}
	head, err := r.store.Head(ctx)
	if err != nil {
		return err
	}
	if _, err := r.store.Append(ctx, record); err != nil {
		return err
	}
	if err := out.begin(); err != nil {
		return err
	}
	if err := r.each(ctx, head.Size(), tenant, subject, out.write); err != nil {
		return err
	}
	return out.end()
}

// each visits the first n entries that concern the subject.
func (r *Register) each(
	ctx context.Context, n int64, tenant, subject string, visit func(entry) error,
) error {
	handle, err := r.sealer.Handle(ctx, tenant, subject)
	if err != nil {
		return err
	}
	index := int64(-1)
	if n == 0 {
		return nil
	}
	for raw, err := range r.store.Entries(ctx, 0) {
		if err != nil {
			return err
		}
		index++
		record, err := audit.Parse(raw)
		if role := roleOf(record, tenant, subject, handle); err == nil && role != "" {
			if err := visit(r.entry(ctx, index, record, role, subject)); err != nil {
				return err
			}
		}
		if index+1 == n {
			return nil
		}
	}
	return nil
}

// roleOf returns how a record concerns the subject, or "".
func roleOf(r audit.Record, tenant, subject, handle string) string {
	switch {
	case r.Tenant != tenant:
		return ""
	case r.Actor.ID == subject:
		return "actor"
	case r.Target.ID == subject:
		return "target"
	case r.ReasonHandle == handle:
		return "mentioned"
	}
	for _, f := range r.Fields {
		if f.Handle == handle {
			return "mentioned"
		}
	}
	return ""
}

func (r *Register) entry(
	ctx context.Context, index int64, record audit.Record, role, subject string,
) entry {
	e := entry{
		Index: index, Time: record.Time, Role: role, Action: record.Action, Outcome: record.Outcome,
	}
	open := func(name, text, handle string, class sallyport.Class) *value {
		if handle == "" {
			if class != sallyport.Public && class != sallyport.Internal {
				return nil
			}
			return &text
		}
		sealed, err := base64.RawStdEncoding.DecodeString(text)
		if err != nil {
			return nil
		}
		// What is not the subject's own does not open, and is none of the export.
		plain, err := r.sealer.Open(ctx, record.Tenant, subject, place(record, name), sealed)
		if err != nil {
			return nil
		}
		text = string(plain)
		return &text
	}
	if record.Reason != "" {
		e.Reason = open(reasonPlace, record.Reason, record.ReasonHandle, sallyport.Internal)
	}
	for _, f := range record.Fields {
		if e.Fields == nil {
			e.Fields = map[string]*value{}
		}
		e.Fields[f.Name] = open(f.Name, f.Value, f.Handle, f.Class)
	}
	return e
}

// writer writes entries in one of the formats.
type writer interface {
	begin() error
	write(e entry) error
	end() error
}

type jsonWriter struct {
	w               io.Writer
	tenant, subject string
	more            bool
}

func (j *jsonWriter) begin() error {
	head, err := json.Marshal(map[string]string{"tenant": j.tenant, "subject": j.subject})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(j.w, "%s,\"records\":[", strings.TrimSuffix(string(head), "}"))
	return err
}

func (j *jsonWriter) write(e entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	separator := "\n"
	if j.more {
		separator = ",\n"
	}
	j.more = true
	_, err = fmt.Fprintf(j.w, "%s%s", separator, line)
	return err
}

func (j *jsonWriter) end() error {
	_, err := io.WriteString(j.w, "\n]}\n")
	return err
}

type csvWriter struct{ w *csv.Writer }

func (c *csvWriter) begin() error {
	return c.w.Write([]string{"index", "time", "role", "action", "outcome", "name", "value"})
}

func (c *csvWriter) write(e entry) error {
	row := func(name string, v *value) error {
		text := ""
		if v != nil {
			text = *v
		}
		return c.w.Write([]string{
			strconv.FormatInt(e.Index, 10), e.Time.Format(time.RFC3339Nano), e.Role,
			cell(e.Action), string(e.Outcome), cell(name), cell(text),
		})
	}
	if e.Reason == nil && len(e.Fields) == 0 {
		return row("", nil)
	}
	var err error
	if e.Reason != nil {
		err = row("reason", e.Reason)
	}
	for _, name := range sortedNames(e.Fields) {
		err = errors.Join(err, row(name, e.Fields[name]))
	}
	return err
}

func (c *csvWriter) end() error {
	c.w.Flush()
	return c.w.Error()
}

// cell keeps a spreadsheet from taking a value for a formula
// (https://owasp.org/www-community/attacks/CSV_Injection).
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
