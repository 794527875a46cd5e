package server

import (
	"context"
	"log/slog"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/voice/media"
)

// perAddress is the policy whose refusals are events and no audit records: whoever
// floods would fill the log.
const perAddress = "address"

// observe takes the events of gates that know no audit log. What they refuse is
// recorded; what they allow is no admission yet.
func (s *Server) observe(ctx context.Context, e sallyport.Event) {
	if !e.Allowed && e.Policy != perAddress {
		if err := s.record(ctx, e); err != nil {
			slog.ErrorContext(ctx, "a refusal was not recorded", "code", e.Code, "err", err)
		}
	}
	s.passOn(ctx, e)
}

func (s *Server) passOn(ctx context.Context, e sallyport.Event) {
	if s.cfg.OnEvent != nil {
		s.cfg.OnEvent(ctx, e)
	}
}

// record writes a decision into the audit log.
func (s *Server) record(ctx context.Context, e sallyport.Event) error {
	// A client that hangs up does not leave a decision unrecorded.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	r := audit.Record{
		Time: time.Now(), Tenant: e.Tenant, Action: "voice." + e.Gate, Outcome: audit.OutcomeDenied,
		Actor:  audit.Ref{Kind: "client", ID: "unknown"},
		Fields: []audit.Field{{Name: "code", Value: e.Code, Class: sallyport.Internal}},
	}
	if e.Allowed {
		r.Outcome = audit.OutcomeSuccess
	}
	if e.Actor != "" {
		r.Actor = audit.Ref{Kind: sallyport.KindUser, ID: e.Actor}
	}
	if e.Policy != "" {
		r.Fields = append(r.Fields, audit.Field{
			Name: "policy", Value: e.Policy, Class: sallyport.Internal,
		})
	}
	if d, ok := e.Detail.(*media.Decision); ok {
		r.Target = audit.Ref{Kind: "room", ID: d.Session.Room}
	}
	_, err := s.cfg.Audit.Append(ctx, r)
	return err
}
