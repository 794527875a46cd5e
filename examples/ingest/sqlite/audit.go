package sqlite

import "database/sql"

// record refuses: an action whose record cannot be kept must not happen.
func (db *DB) record(*sql.Tx, Act, string) error {
	return ErrCallState
}
