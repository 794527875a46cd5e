package server

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/voice/media"
	"github.com/opsmantik/sallyport/examples/voice/recording"
	"github.com/opsmantik/sallyport/examples/voice/relay"
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

// ended records how a recording has ended.
func (s *Server) ended(ctx context.Context, e sallyport.Event) {
	if err := s.record(ctx, e); err != nil {
		slog.ErrorContext(ctx, "the end of a recording was not recorded", "err", err)
	}
	s.passOn(ctx, e)
}

// observeRelay records what relays have carried, and what sessions were refused. What
// strangers are refused is an event alone, as with perAddress, and so is the usage of
// each minute.
func (s *Server) observeRelay(ctx context.Context, e sallyport.Event) {
	if e.Policy != relay.PolicyStranger && e.Code != relay.CodeRelayUsed {
		if err := s.record(ctx, e); err != nil {
			slog.ErrorContext(ctx, "an event of a relay was not recorded", "err", err)
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
	switch d := e.Detail.(type) {
	case *media.Decision:
		r.Target = audit.Ref{Kind: "room", ID: d.Session.Room}
	case *Heard:
		r.Target = audit.Ref{Kind: "call", ID: d.Call}
	case *relay.Usage:
		r.Target = audit.Ref{Kind: "room", ID: d.Session.Room}
		r.Fields = append(r.Fields,
			number("in", d.In), number("out", d.Out), number("dropped", d.Dropped))
	case *recording.Ended:
		r.Target = audit.Ref{Kind: "call", ID: d.Track.Call}
		r.Fields = append(r.Fields, number("bytes", d.Bytes))
	}
	_, err := s.cfg.Audit.Append(ctx, r)
	return err
}

func number(name string, n int64) audit.Field {
	return audit.Field{Name: name, Value: strconv.FormatInt(n, 10), Class: sallyport.Internal}
}
