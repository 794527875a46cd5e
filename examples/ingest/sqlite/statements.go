package sqlite

import (
	"context"
	"database/sql"
	"errors"
)

// statement is prepared once, and bound to each transaction that runs it: reading
// its text took a fifth of the writer's time. It belongs to the writer.
type statement struct {
	text     string
	prepared *sql.Stmt
	tx       *sql.Tx // the last that it was bound to
	bound    *sql.Stmt
}

// statements are what every event passes through.
type statements struct {
	enqueue, remove, store, slide, visit statement
}

func newStatements() statements {
	return statements{
		enqueue: statement{text: `INSERT INTO queue (payload, site_id, events) VALUES (?, ?, ?)`},
		remove:  statement{text: `DELETE FROM queue WHERE seq = ?`},
		store:   statement{text: storeText},
		slide:   statement{text: slideText},
		visit:   statement{text: visitText},
	}
}

func (s *statements) all() []*statement {
	return []*statement{&s.enqueue, &s.remove, &s.store, &s.slide, &s.visit}
}

func (s *statements) prepare(ctx context.Context, db *sql.DB) (err error) {
	for _, each := range s.all() {
		if each.prepared, err = db.PrepareContext(ctx, each.text); err != nil {
			return err
		}
	}
	return nil
}

func (s *statements) close() error {
	var errs []error
	for _, each := range s.all() {
		if each.prepared != nil {
			errs = append(errs, each.prepared.Close())
		}
	}
	return errors.Join(errs...)
}

// In is the statement in a transaction of the writer's.
func (s *statement) In(tx *sql.Tx) *sql.Stmt {
	if s.tx != tx {
		s.tx, s.bound = tx, tx.Stmt(s.prepared)
	}
	return s.bound
}

func exec(s *sql.Stmt, args ...any) error {
	_, err := s.Exec(args...)
	return err
}
