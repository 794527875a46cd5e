package store

import (
	"context"
	"time"

	"github.com/opsmantik/sallyport/tenancy"
)

// Visits lists runs of one visitor's events, 30 minutes apart at most. They follow
// from the events that are stored: an event that is a duplicate is not counted.
type Visits interface {
	// Visits lists a site's visits, the one that began last first, and of those
	// that began together the greatest id first. It goes on behind after; the zero
	// place is the beginning.
	Visits(ctx context.Context, scope tenancy.Scope, after VisitPlace, limit int) ([]VisitRow, error)
	// VisitEvents lists the first events of a visit, in the order of their receipt.
	VisitEvents(ctx context.Context, scope tenancy.Scope, visit string, limit int) ([]EventRow, error)
}

// VisitRow is a visit as the API lists it.
type VisitRow struct {
	ID      string    `json:"id"`
	Session string    `json:"session_id"` // the visitor's, as the page first sent it
	FirstAt time.Time `json:"first_at"`
	LastAt  time.Time `json:"last_at"`
	Events  int64     `json:"events"`
}

// VisitPlace is a place in the list of visits.
type VisitPlace struct {
	FirstAt time.Time // in whole milliseconds
	ID      string
}

// Place is where the row stands.
func (r VisitRow) Place() VisitPlace { return VisitPlace{r.FirstAt, r.ID} }
