package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Bounded passes at most perSecond records of each second on, and says with the
// next one how many were left out. It is for what strangers can cause, such as
// failed TLS handshakes.
func Bounded(next slog.Handler, perSecond int) slog.Handler {
	return &bounded{next, &budget{perSecond: perSecond}}
}

type bounded struct {
	slog.Handler
	*budget
}

// budget is shared by a handler and what With makes of it.
type budget struct {
	perSecond int
	mu        sync.Mutex
	second    int64
	used      int
	lost      int
}

func (b *budget) take(now time.Time) (lost int, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if second := now.Unix(); second != b.second {
		b.second, b.used = second, 0
	}
	if b.used >= b.perSecond {
		b.lost++
		return 0, false
	}
	b.used++
	lost, b.lost = b.lost, 0
	return lost, true
}

func (b *bounded) Handle(ctx context.Context, r slog.Record) error {
	lost, ok := b.take(time.Now())
	if !ok {
		return nil
	}
	if lost > 0 {
		r.AddAttrs(slog.Int("lines_left_out", lost))
	}
	return b.Handler.Handle(ctx, r)
}

func (b *bounded) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &bounded{b.Handler.WithAttrs(attrs), b.budget}
}

func (b *bounded) WithGroup(name string) slog.Handler {
	return &bounded{b.Handler.WithGroup(name), b.budget}
}
