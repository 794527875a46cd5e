package store

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// EventRow is a stored event as the API lists it.
type EventRow struct {
	ID         string    `json:"id"`
	Session    string    `json:"session_id"` // the visitor's, as the page sent it
	Visit      string    `json:"visit_id"`   // events of one visitor, 30 minutes apart at most
	Category   string    `json:"category"`
	Action     string    `json:"action"`
	Label      string    `json:"label"`
	URL        string    `json:"url"`
	ReceivedAt time.Time `json:"received_at"`
}

// CallRow is a stored call as the API lists it.
type CallRow struct {
	ID         string    `json:"id"`
	EventID    string    `json:"event_id"`
	Phone      string    `json:"phone"`
	Action     string    `json:"action"`
	URL        string    `json:"url"`
	Status     string    `json:"status"`
	ReceivedAt time.Time `json:"received_at"`
}

// AuditRow is one entry of the log and its place in it.
type AuditRow struct {
	Index int64          `json:"index"`
	Entry jsontext.Value `json:"entry"` // exactly what was hashed
}
