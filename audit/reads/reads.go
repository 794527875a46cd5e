// Package reads records each access to confidential data before the handler serves it.
//
// # Threat
//
// Somebody with every right to look, looks at what they have no business with, and
// nothing says so afterwards.
//
// # Guarantees
//
//   - [Gate.Wrap] runs the handler only after the record is durable. What cannot be
//     recorded is not shown: 503.
//   - A request that [Config.Describe] says nothing about passes unrecorded, and
//     OnEvent hears of that too.
//
// # Not guaranteed
//
//   - The record says that somebody was let in to the data, not that the response
//     reached them.
//   - Describe decides what is confidential. A route that it forgets is not recorded.
//
// # Place among the gates
//
// Innermost, behind the session and the role: the record names a proven actor.
//
// # Memory
//
// None beyond the record.
//
// # Example
//
//	gate, err := reads.New(reads.Config{
//		Store: log,
//		Describe: func(r *http.Request) (audit.Record, bool) {
//			grant, _ := tenancy.FromContext(r.Context())
//			return audit.Record{
//				Actor:  audit.Ref{Kind: sallyport.KindUser, ID: grant.User()},
//				Action: "calls.read", Tenant: grant.Site(),
//			}, strings.HasPrefix(r.URL.Path, "/api/sites/")
//		},
//	})
//	mux.Handle("GET /api/sites/{site_id}/calls", gate.Wrap(calls))
package reads

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/internal/configerr"
	"github.com/opsmantik/sallyport/internal/refusal"
)

const (
	// CodeRecorded: the access is recorded and may happen. Never a refusal.
	CodeRecorded = "audit_read_recorded"
	// CodeUnrecorded: Describe says that nothing confidential is read. Never a refusal.
	CodeUnrecorded = "audit_read_not_confidential"
	// CodeUnavailable, 503: the access could not be recorded, so it did not happen.
	CodeUnavailable = "audit_read_unavailable"
	// CodeNotConfigured, 503: the gate was not made by [New].
	CodeNotConfigured = "audit_reads_not_configured"
)

var kinds = []refusal.Kind{
	{Code: CodeNotConfigured, Status: http.StatusServiceUnavailable, Title: "Recording not configured"},
	{Code: CodeUnavailable, Status: http.StatusServiceUnavailable, Title: "Access cannot be recorded"},
}

// Config configures a [Gate]. New copies it.
type Config struct {
	_ [0]func() // keyed literals only; not comparable

	// Store takes the records. Required.
	Store audit.Store

	// Describe says who is about to read what, or false if it is nothing confidential.
	// Required. A zero Time becomes now, an empty Outcome success.
	Describe func(*http.Request) (audit.Record, bool)

	// Timeout bounds the wait for the store. Default 2 s; 10 ms to 1 min.
	Timeout time.Duration

	// OnEvent, if set, is called once for each decision. Detail is the audit.Receipt
	// of an access that was recorded.
	OnEvent func(context.Context, sallyport.Event)

	// OnReject, if set, answers instead of the default problem document.
	OnReject func(http.ResponseWriter, *http.Request, *sallyport.Refusal)

	// ProblemBase is what the type URI of a refusal begins with.
	ProblemBase string
}

// Gate records accesses. It is safe for concurrent use; the zero value and nil refuse
// everything.
type Gate struct {
	cfg   Config
	kinds *refusal.Table
}

// New returns every problem of the configuration at once.
func New(cfg Config) (*Gate, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = 2 * time.Second
	}
	problems := configerr.For("audit")
	if cfg.Store == nil {
		problems.Add("Store", "", sallyport.ConfigRequired, "say where accesses are recorded")
	}
	if cfg.Describe == nil {
		problems.Add("Describe", "", sallyport.ConfigRequired, "say who reads what")
	}
	if cfg.Timeout < 10*time.Millisecond || cfg.Timeout > time.Minute {
		problems.Add("Timeout", cfg.Timeout.String(), sallyport.ConfigOutOfRange,
			"want 10ms to 1m")
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return &Gate{cfg: cfg, kinds: refusal.NewTable("audit", cfg.ProblemBase, kinds...)}, nil
}

// Check records the access, or returns a [*sallyport.Refusal].
func (g *Gate) Check(r *http.Request) error {
	if g == nil || g.kinds == nil {
		return kinds[0].Refusal("audit", nil)
	}
	record, confidential := g.cfg.Describe(r)
	e := sallyport.Event{Gate: "audit", Code: CodeUnrecorded, Allowed: true, Request: r}
	if !confidential {
		g.notify(r, e)
		return nil
	}
	if record.Time.IsZero() {
		record.Time = time.Now()
	}
	if record.Outcome == "" {
		record.Outcome = audit.OutcomeSuccess
	}
	ctx, cancel := context.WithTimeout(r.Context(), g.cfg.Timeout)
	defer cancel()
	receipt, err := g.cfg.Store.Append(ctx, record)
	e.Code, e.Tenant, e.Actor = CodeRecorded, record.Tenant, record.Actor.ID
	if err != nil {
		e.Code, e.Allowed, e.Err = CodeUnavailable, false, err
		g.notify(r, e)
		return g.kinds.New(CodeUnavailable, err)
	}
	e.Detail = receipt
	g.notify(r, e)
	return nil
}

func (g *Gate) notify(r *http.Request, e sallyport.Event) {
	if g.cfg.OnEvent != nil {
		g.cfg.OnEvent(r.Context(), e)
	}
}

// Wrap runs next after the access is recorded, and refuses otherwise.
func (g *Gate) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := g.Check(r)
		if err == nil {
			next.ServeHTTP(w, r)
			return
		}
		refused, _ := errors.AsType[*sallyport.Refusal](err)
		if g == nil {
			refused.Write(w)
			return
		}
		g.kinds.Answer(w, r, refused, g.cfg.OnReject)
	})
}
