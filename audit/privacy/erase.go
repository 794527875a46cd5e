package privacy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opsmantik/sallyport/audit"
)

// Erasure is the receipt of one. Its records are in the log, and a proof of each can be
// had where the log is published.
type Erasure struct {
	Tenant  string        `json:"tenant"`
	Subject string        `json:"subject"`
	At      time.Time     `json:"at"`
	Intent  audit.Receipt `json:"intent"`
	Done    audit.Receipt `json:"done"`
}

// Erase destroys the keys of a subject, an opaque id: whatever was sealed under them, in
// whatever copy, nobody can read any more. By says who had it done, reason why.
//
// The intent is recorded first; without that record nothing is destroyed. If the keys
// are destroyed and the outcome cannot be recorded, the error says so and the erasure
// is valid: repeat it, which does no harm.
func (r *Register) Erase(
	ctx context.Context, tenant, subject string, by audit.Ref, reason string,
) (Erasure, error) {
	if r == nil || r.sealer == nil {
		return Erasure{}, errNotConfigured
	}
	if subject == "" {
		return Erasure{}, errors.New("privacy: erase whom?")
	}
	record := audit.Record{
		Time: time.Now(), Actor: by, Tenant: tenant, Action: actionErase,
		Target: audit.Ref{Kind: "subject", ID: subject}, Outcome: audit.OutcomeIntent, Reason: reason,
	}
	record, err := r.Prepare(ctx, record, "")
	if err != nil {
		return Erasure{}, err
	}
	done := Erasure{Tenant: tenant, Subject: subject}
	if done.Intent, err = r.store.Append(ctx, record); err != nil {
		return Erasure{}, err
	}
	errShred := r.sealer.Shred(ctx, tenant, subject)
	record.Time, record.Outcome = time.Now(), audit.OutcomeSuccess
	if errShred != nil {
		record.Outcome = audit.OutcomeFailure
	}
	// Whoever asked may have left; what happened must be recorded all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	done.At = record.Time
	done.Done, err = r.store.Append(ctx, record)
	if errShred != nil {
		return Erasure{}, errors.Join(fmt.Errorf("privacy: not erased: %w", errShred), err)
	}
	if err != nil {
		return done, fmt.Errorf("privacy: erased, but not recorded: %w", err)
	}
	return done, nil
}
