package audit

import (
	"context"
	"iter"
)

// Store is where a log is kept: a [*Log], or tables of a database. Package
// audit/storetest tests one. Readers of a log, such as those that publish, search
// and export it, take a Store.
type Store interface {
	// Append makes a record durable, or returns an error. The index of the receipt
	// is -1 where records are ordered later than they are stored.
	Append(ctx context.Context, r Record) (Receipt, error)
	// Head returns the end of the log. Every entry before it is durable and is never
	// going to change.
	Head(ctx context.Context) (Head, error)
	// Entries yields the entries from the index from on, in order, without a gap, at
	// least up to a Head that was returned before. An entry is valid until the next
	// one. An error ends it.
	Entries(ctx context.Context, from int64) iter.Seq2[[]byte, error]
}

var _ Store = (*Log)(nil)
