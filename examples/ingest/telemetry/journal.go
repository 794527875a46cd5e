package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/ratelimit/loginguard"
)

const (
	// quiet is how long after a line the next one of its kind is only counted.
	quiet = 10 * time.Second
	// maxKinds bounds what is remembered of kinds: a tenant that nobody proved is
	// part of one.
	maxKinds = 1000
	// maxLines bounds the lines of a second, whatever their kinds.
	maxLines = 50
)

// Journal is the gates' OnEvent. It counts every decision, and writes to the log
// what an operator has to see: refusals, one line per kind and 10 s with how many
// there were; bans, one line each; and who signs in and out.
type Journal struct {
	log     *slog.Logger
	metrics *Metrics

	// Watch, if set before the first event, receives every decision too.
	Watch func(context.Context, sallyport.Event)

	lines budget

	mu    sync.Mutex
	kinds map[kind]*tally
}

// kind is what refusals have in common that are one line together.
type kind struct{ gate, code, policy, tenant string }

// tally counts the refusals of a kind since its last line.
type tally struct {
	last time.Time
	n    int
}

// NewJournal returns a journal that has written nothing yet.
func NewJournal(log *slog.Logger, metrics *Metrics) *Journal {
	return &Journal{
		log: log, metrics: metrics, lines: budget{perSecond: maxLines}, kinds: map[kind]*tally{},
	}
}

// OnEvent takes one decision of a gate.
func (j *Journal) OnEvent(ctx context.Context, e sallyport.Event) {
	j.metrics.Count(ctx, e)
	if j.Watch != nil {
		j.Watch(ctx, e)
	}
	switch {
	case e.Code == loginguard.CodeBanned:
		j.write(ctx, slog.LevelWarn, "ban started", e, 1)
	case e.Gate == "account":
		j.account(ctx, e)
	case !e.Allowed:
		j.refused(ctx, e)
	}
}

// account is for people: their successes are lines of their own.
func (j *Journal) account(ctx context.Context, e sallyport.Event) {
	if e.Allowed {
		j.write(ctx, slog.LevelInfo, "account", e, 1)
		return
	}
	j.refused(ctx, e)
}

func (j *Journal) refused(ctx context.Context, e sallyport.Event) {
	n := j.count(kind{e.Gate, e.Code, e.Policy, e.Tenant}, time.Now())
	if n == 0 {
		return
	}
	level := slog.LevelInfo
	if e.Code == hmacsig.CodeReplayShareFull || e.Code == hmacsig.CodeReplayStoreFull {
		level = slog.LevelError // somebody's calls are lost until it is looked into
	}
	j.write(ctx, level, "refused", e, n)
}

// count returns how many refusals the line stands for that is due now, or 0 when
// none is.
func (j *Journal) count(k kind, now time.Time) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	t := j.kinds[k]
	if t == nil {
		if len(j.kinds) >= maxKinds {
			j.sweep(now)
		}
		if len(j.kinds) >= maxKinds {
			k.tenant = ""
		}
		if t = j.kinds[k]; t == nil {
			t = &tally{}
			j.kinds[k] = t
		}
	}
	t.n++
	if now.Sub(t.last) < quiet {
		return 0
	}
	n := t.n
	t.last, t.n = now, 0
	return n
}

// sweep forgets the kinds that have been quiet.
func (j *Journal) sweep(now time.Time) {
	for k, t := range j.kinds {
		if now.Sub(t.last) >= quiet && t.n == 0 {
			delete(j.kinds, k)
		}
	}
}

// write writes a line, unless this second has had enough.
func (j *Journal) write(
	ctx context.Context, level slog.Level, message string, e sallyport.Event, n int,
) {
	lost, ok := j.lines.take(time.Now())
	if !ok {
		return
	}
	if e.Gate == "loginguard" {
		e.Actor = "" // whatever was typed there, a password perhaps
	}
	attrs := []slog.Attr{slog.String("gate", e.Gate), slog.String("code", e.Code)}
	for _, pair := range [...][2]string{{"policy", e.Policy}, {"site", e.Tenant}, {"user", e.Actor}} {
		if pair[1] != "" {
			attrs = append(attrs, slog.String(pair[0], pair[1]))
		}
	}
	if n > 1 {
		attrs = append(attrs, slog.Int("count", n))
	}
	if lost > 0 {
		attrs = append(attrs, slog.Int("lines_left_out", lost))
	}
	j.log.LogAttrs(ctx, level, message, attrs...)
}
