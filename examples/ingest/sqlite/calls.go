package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

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

// Calls lists a site's newest calls.
func (db *DB) Calls(ctx context.Context, site string, limit int) ([]CallRow, error) {
	const query = `SELECT id, event_id, phone, action, url, status, received_at
		FROM calls WHERE site_id = ? ORDER BY received_at DESC, id LIMIT ?`
	rows, err := db.read.QueryContext(ctx, query, site, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	list := []CallRow{}
	for rows.Next() {
		var row CallRow
		var at int64
		err := rows.Scan(&row.ID, &row.EventID, &row.Phone, &row.Action, &row.URL, &row.Status, &at)
		if err != nil {
			return nil, err
		}
		row.ReceivedAt = time.UnixMilli(at).UTC()
		list = append(list, row)
	}
	return list, rows.Err()
}

// CallSite returns the site of a call, or ErrNoCall.
func (db *DB) CallSite(ctx context.Context, id string) (site string, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT site_id FROM calls WHERE id = ?`, id).Scan(&site)
	if errors.Is(err, sql.ErrNoRows) {
		return "", ErrNoCall
	}
	return site, err
}

var (
	// ErrNoCall means that the site has no such call.
	ErrNoCall = errors.New("sqlite: no such call")
	// ErrCallState means that the call cannot go from where it is to there.
	ErrCallState = errors.New("sqlite: the call is in another state")
)

// Act is one administrative action on one call.
type Act struct {
	Name  string // "seal", "junk" or "undo"
	Call  string
	Site  string
	Actor string
}

// next is the state that an action leads to. Seal and junk start from an
// undecided call; undo takes either back.
func (a Act) next(status string) (string, error) {
	switch {
	case a.Name == "seal" && status == "intent":
		return "sealed", nil
	case a.Name == "junk" && status == "intent":
		return "junk", nil
	case a.Name == "undo" && status != "intent":
		return "intent", nil
	default:
		return "", ErrCallState
	}
}

// Act changes a call and records who did it, in one transaction: neither
// happens without the other. It returns the call's new status.
func (db *DB) Act(ctx context.Context, act Act) (status string, err error) {
	err = db.Write(ctx, func(tx *sql.Tx) error {
		var previous string
		row := tx.QueryRow(`SELECT status FROM calls WHERE id = ? AND site_id = ?`, act.Call, act.Site)
		if err := row.Scan(&previous); errors.Is(err, sql.ErrNoRows) {
			return ErrNoCall
		} else if err != nil {
			return err
		}
		if status, err = act.next(previous); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE calls SET status = ? WHERE id = ?`, status, act.Call)
		if err != nil {
			return fmt.Errorf("sqlite: update call: %w", err)
		}
		return record(tx, act, previous, status)
	})
	return status, err
}
