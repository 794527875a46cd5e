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
	// below is the denied name of the group that all attributes stand in, or "".
	below string
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	msg, _ := h.s.String(r.Message)
	clean := slog.NewRecord(r.Time, r.Level, msg, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(h.attr(a, h.below, 0))
		return true
	})
	return h.next.Handle(ctx, clean)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = h.attr(a, h.below, 0)
	}
	return &handler{s: h.s, next: h.next.WithAttrs(clean), below: h.below}
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	clean, _ := h.s.String(name)
	below := h.below
	if below == "" && !h.s.unusable() {
		if _, denied := h.s.engine.DeniesTree(name); denied {
			below = name
		}
	}
	return &handler{s: h.s, next: h.next.WithGroup(clean), below: below}
}

const dropped = "[dropped]"

// attr returns a with its key and value scrubbed, as it may stand below the
// denied name of a group.
func (h *handler) attr(a slog.Attr, below string, depth int) slog.Attr {
	if a.Equal(slog.Attr{}) {
		return a // handlers leave it out
	}
	key, _ := h.s.String(a.Key)
	if below == "" {
		below = a.Key
	}
	return slog.Attr{Key: key, Value: h.value(below, a.Value, depth)}
}

func (h *handler) value(key string, v slog.Value, depth int) slog.Value {
	if depth > maxValueDepth || h.s.unusable() {
		return slog.StringValue(dropped)
	}
	if v.Kind() != slog.KindGroup {
		clean, _, err := h.s.valueUnder(key, v.Any())
		if err != nil {
			return slog.StringValue(dropped)
		}
		return slog.AnyValue(clean)
	}
	if _, denied := h.s.engine.DeniesTree(key); !denied {
		key = ""
	}
	group := v.Group()
	clean := make([]slog.Attr, len(group))
	for i, a := range group {
		clean[i] = h.attr(a, key, depth+1)
	}
	return slog.GroupValue(clean...)
}
