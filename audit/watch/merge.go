package watch

import (
	"context"
	"errors"
	"hash/fnv"
	"slices"
	"strconv"
	"time"
)

const (
	// lateMinutes is how many minutes may wait for the Merger.
	lateMinutes = 3
	// claimFor is for how long one instance tells an alert, and the others do not.
	claimFor = 30 * time.Minute
)

var errLate = errors.New("the counts of other instances come too late")

// layoutOf names the series and tenants in their order: what a count is about.
func (e *Engine) layoutOf() string {
	h := fnv.New64a()
	for _, s := range e.series {
		for i := range s.volumes {
			_, _ = h.Write([]byte(s.Name + "\x00" + e.tenantName(s, i) + "\x00"))
		}
	}
	return strconv.FormatUint(h.Sum64(), 16)
}

// merge has the minutes summed over all instances, and judges them.
func (e *Engine) merge(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-e.minutes:
			sum, err := e.cfg.Merger.Sum(ctx, e.layout, c.minute, slices.Clone(c.counts))
			if err == nil && len(sum) != len(c.counts) {
				err = errors.New("the counts of other instances are of other rules")
			}
			if ctx.Err() != nil {
				return
			}
			e.mu.Lock()
			if now := time.Now().In(e.cfg.Location); err != nil {
				e.unmerged(now, err)
			} else {
				e.judge(c.minute, now, sum)
			}
			e.mu.Unlock()
		}
	}
}

// unmerged leaves a minute out: our part alone would look as if the rest had stopped.
func (e *Engine) unmerged(now time.Time, err error) {
	e.skip()
	e.raise(now, Alert{
		Code: CodeWatcher, Rule: "merge", Tier: Notice,
		Condition: "a minute was not judged: " + err.Error(),
	})
}

// claimed are the alerts that this instance is to tell. Where that cannot be known they
// are told twice rather than not at all.
func (e *Engine) claimed(ctx context.Context, group []Alert) []Alert {
	if e.cfg.Merger == nil {
		return group
	}
	return slices.DeleteFunc(group, func(a Alert) bool {
		id := a.ID + "|" + a.Tier.String()
		if !a.Ended.IsZero() {
			id += "|resolved"
		}
		mine, err := e.cfg.Merger.Claim(ctx, id, claimFor)
		return err == nil && !mine
	})
}
