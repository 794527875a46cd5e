package scrub

import (
	"context"
	"log/slog"
)

// Handler returns a slog.Handler that scrubs every record before next sees
// it: the message, the keys and values of attributes, groups, and the
// attributes of With. Values are resolved and classified here, as by Value,
// because a handler behind this one would print their private fields first.
// A value that cannot be made safe becomes "[dropped]".
func (s *Scrubber) Handler(next slog.Handler) slog.Handler {
	return &handler{s: s, next: next}
}

type handler struct {
	s    *Scrubber
	next slog.Handler
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	msg, _ := h.s.String(r.Message)
	clean := slog.NewRecord(r.Time, r.Level, msg, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(h.s.attr(a, 0))
		return true
	})
	return h.next.Handle(ctx, clean)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = h.s.attr(a, 0)
	}
	return &handler{s: h.s, next: h.next.WithAttrs(clean)}
}

func (h *handler) WithGroup(name string) slog.Handler {
	clean, _ := h.s.String(name)
	return &handler{s: h.s, next: h.next.WithGroup(clean)}
}

const dropped = "[dropped]"

// attr returns a with its key and value scrubbed.
func (s *Scrubber) attr(a slog.Attr, depth int) slog.Attr {
	key, _ := s.String(a.Key)
	return slog.Attr{Key: key, Value: s.logValue(a.Key, a.Value, depth)}
}

func (s *Scrubber) logValue(key string, v slog.Value, depth int) slog.Value {
	if depth > maxValueDepth {
		return slog.StringValue(dropped)
	}
	if v.Kind() == slog.KindGroup {
		group := v.Group()
		clean := make([]slog.Attr, len(group))
		for i, a := range group {
			clean[i] = s.attr(a, depth+1)
		}
		return slog.GroupValue(clean...)
	}
	clean, _, err := s.valueUnder(key, v.Any())
	if err != nil {
		return slog.StringValue(dropped)
	}
	return slog.AnyValue(clean)
}
