package privacy

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/internal/configerr"
)

// Sealer encrypts under keys of persons. tenancy/envelope's Vault fits it with a few
// lines: internal/bench/audit/envelope_test.go has them. Every method is safe for
// concurrent use.
type Sealer interface {
	// Handle returns the random name that stands for a subject, and makes its first key
	// if there is none. It says nothing of the subject, and changes when that is shredded.
	Handle(ctx context.Context, tenant, subject string) (string, error)
	// Seal encrypts, bound to the place: what is sealed for one opens at no other.
	Seal(ctx context.Context, tenant, subject, place string, plaintext []byte) ([]byte, error)
	// Open decrypts. The error matches [ErrErased] if the key was destroyed.
	Open(ctx context.Context, tenant, subject, place string, sealed []byte) ([]byte, error)
	// Shred destroys every key of a subject, in all copies that it knows of.
	Shred(ctx context.Context, tenant, subject string) error
}

var (
	// ErrErased is matched by the error of [Sealer.Open] for a destroyed key.
	ErrErased = errors.New("privacy: the key was destroyed")
	// ErrUndeclared is matched for a record that the declared actions do not permit.
	ErrUndeclared = errors.New("privacy: not as declared")
	// errNotConfigured is the answer of a Register that New did not make.
	errNotConfigured = errors.New("privacy: not configured: make the Register with New")
)

// Action declares what may be recorded, and why.
type Action struct {
	Name string // "calls.junk"

	// NeedsReason refuses a record without one. SealReason seals it, because people
	// write names into reasons.
	NeedsReason, SealReason bool

	// Fields are the permitted ones and their classes. Public and internal values are
	// written as they are, others are sealed. Unclassified is restricted.
	Fields map[string]sallyport.Class

	// For the records of processing activities: why personal data is processed, on
	// which legal basis (GDPR Article 6), of whom, to whom it goes, and how long it is
	// kept.
	Purpose, LegalBasis, Subjects, Recipients, Retention string
}

// Config configures a [Register]. New copies it.
type Config struct {
	_ [0]func() // keyed literals only; not comparable

	// Store takes the records of erasures, and is what Export reads. Required.
	Store audit.Store

	// Sealer holds the keys. Required.
	Sealer Sealer

	// Actions are all that may be recorded, besides "privacy.erase" and
	// "privacy.export", which this package records. Required.
	Actions []Action
}

// The actions of this package.
const (
	actionErase  = "privacy.erase"
	actionExport = "privacy.export"
)

// Register is the declared set of actions and the keys of the persons in them. It is
// safe for concurrent use; the zero value and nil fail.
type Register struct {
	store   audit.Store
	sealer  Sealer
	actions map[string]Action
}

// New returns every problem of the configuration at once.
func New(cfg Config) (*Register, error) {
	problems := configerr.For("audit")
	if cfg.Store == nil {
		problems.Add("Store", "", sallyport.ConfigRequired, "must be set")
	}
	if cfg.Sealer == nil {
		problems.Add("Sealer", "", sallyport.ConfigRequired, "must be set")
	}
	if len(cfg.Actions) == 0 {
		problems.Add("Actions", "", sallyport.ConfigRequired, "declare what may be recorded")
	}
	r := &Register{store: cfg.Store, sealer: cfg.Sealer, actions: map[string]Action{}}
	for i, a := range cfg.Actions {
		field := fmt.Sprintf("Actions[%d].Name", i)
		_, twice := r.actions[a.Name]
		switch {
		case a.Name == "" || strings.ContainsAny(a.Name, "|\n\r"):
			problems.Add(field, a.Name, sallyport.ConfigMalformed, `want a name such as "calls.junk"`)
		case a.Name == actionErase || a.Name == actionExport:
			problems.Add(field, a.Name, sallyport.ConfigConflict, "this package declares it")
		case twice:
			problems.Add(field, a.Name, sallyport.ConfigDuplicate, "declare each action once")
		}
		a.Fields = maps.Clone(a.Fields)
		r.actions[a.Name] = a
	}
	for _, name := range []string{actionErase, actionExport} {
		r.actions[name] = Action{
			Name: name, NeedsReason: true, Purpose: "rights of data subjects",
			LegalBasis: "legal obligation (GDPR Article 6(1)(c))", Retention: "as the log",
		}
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return r, nil
}

// Prepare checks a record against its declaration, classifies its fields and seals the
// confidential ones under the key of subject, an opaque id. Without a subject they are
// redacted. The error matches [ErrUndeclared], or is the Sealer's.
func (r *Register) Prepare(
	ctx context.Context, record audit.Record, subject string,
) (audit.Record, error) {
	if r == nil || r.sealer == nil {
		return record, errNotConfigured
	}
	action, declared := r.actions[record.Action]
	switch {
	case !declared:
		return record, fmt.Errorf("%w: action %q", ErrUndeclared, record.Action)
	case action.NeedsReason && strings.TrimSpace(record.Reason) == "":
		return record, fmt.Errorf("%w: %s needs a reason", ErrUndeclared, action.Name)
	case record.ReasonHandle != "":
		return record, fmt.Errorf("%w: the reason is sealed already", ErrUndeclared)
	}
	s := sealing{ctx: ctx, register: r, record: &record, subject: subject}
	record.Fields = slices.Clone(record.Fields)
	for i := range record.Fields {
		f := &record.Fields[i]
		class, declared := action.Fields[f.Name]
		if !declared || f.Handle != "" {
			return record, fmt.Errorf("%w: field %q of %s", ErrUndeclared, f.Name, action.Name)
		}
		f.Class = class
		if class != sallyport.Public && class != sallyport.Internal {
			f.Value, f.Handle = s.seal(f.Name, f.Value)
		}
	}
	if action.SealReason && record.Reason != "" {
		record.Reason, record.ReasonHandle = s.seal(reasonPlace, record.Reason)
	}
	return record, s.err
}

// reasonPlace names the reason among the fields, where no field can be.
const reasonPlace = "\x00reason"

// sealing seals the values of one record. The first error stays.
type sealing struct {
	ctx      context.Context
	register *Register
	record   *audit.Record
	subject  string
	handle   string
	err      error
}

// seal returns ciphertext in base64 and the handle of its key; nothing at all without
// a subject.
func (s *sealing) seal(name, value string) (ciphertext, handle string) {
	if s.subject == "" || s.err != nil {
		return "", ""
	}
	if s.handle == "" {
		s.handle, s.err = s.register.sealer.Handle(s.ctx, s.record.Tenant, s.subject)
		if s.err == nil && s.handle == "" {
			s.err = errors.New("privacy: the sealer has no handle")
		}
	}
	if s.err != nil {
		return "", ""
	}
	sealed, err := s.register.sealer.Seal(s.ctx, s.record.Tenant, s.subject,
		place(*s.record, name), []byte(value))
	if err != nil {
		s.err = err
		return "", ""
	}
	return base64.RawStdEncoding.EncodeToString(sealed), s.handle
}

// place is where a value belongs: its field, in a record of this action on this target
// at this time.
func place(r audit.Record, name string) string {
	return strings.Join([]string{
		"audit", r.Action, r.Target.Kind, r.Target.ID, r.Time.UTC().Format(time.RFC3339Nano), name,
	}, "\x1f")
}
