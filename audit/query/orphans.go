package query

import (
	"context"
	"slices"
	"time"

	"github.com/opsmantik/sallyport/audit"
)

// intent is what an outcome has in common with it.
type intent struct {
	tenant, action string
	target         audit.Ref
}

// Orphans returns the intents that are older than before and have no outcome: no later
// record of the same tenant, action and target. Each is an effect in another system of
// which nobody knows whether it happened. Ask at every start.
//
// It reads the whole log, and holds the intents that are open.
func Orphans(ctx context.Context, log audit.Store, before time.Time) ([]Row, error) {
	open := map[intent]Row{}
	err := each(ctx, log, Query{}, func(row Row) error {
		key := intent{row.Record.Tenant, row.Record.Action, row.Record.Target}
		delete(open, key)
		if row.Record.Outcome == audit.OutcomeIntent {
			open[key] = row
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var orphans []Row
	for _, row := range open {
		if row.Record.Time.Before(before) {
			orphans = append(orphans, row)
		}
	}
	slices.SortFunc(orphans, func(a, b Row) int { return int(a.Index - b.Index) })
	return orphans, nil
}
