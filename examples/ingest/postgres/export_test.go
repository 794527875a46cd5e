package postgres

import (
	"context"
	"time"
)

// LookFor looks at open transactions now, and warns of those that are as old as long.
func (db *DB) LookFor(ctx context.Context, long time.Duration) {
	db.long = long
	db.look(ctx)
}
