// Package rls makes the proof of access reach the row: statements run on Postgres
// within the scope of a grant, or not at all.
//
// # Threat
//
// A query forgets its tenant; a connection that somebody else used still carries their
// setting; SQL injected into one query names another tenant; the schema itself has a
// hole: a policy that is always true, a view that runs as its owner, a login that
// policies do not bind.
//
// # Guarantees
//
//   - There is no statement without a tenancy.Scope: DB has no bare query, and an expired
//     or zero scope is refused before a connection is taken.
//   - Each transaction carries its own scope, set by its first statement and gone at its
//     end. What an earlier user of the connection left behind does not matter.
//   - The scope is sealed by an HMAC that the database checks: injected SQL can set
//     another one, and gets an error from it.
//   - The search path is set with the scope, with pg_temp last, so that no temporary
//     object stands in for a table.
//   - Open refuses a login, a server, a query mode and a schema for which the above does
//     not hold, and says of each what to do.
//
// # Not guaranteed
//
//   - Injected SQL still does to its own site whatever the role may do.
//   - Lint reads the catalogue. It knows the mistakes it knows.
//   - A statement may last longer than its seal; a new one may not begin.
//   - The database's owner, superusers and backups are outside.
//
// # Place among the gates
//
// Innermost, inside the handler: tenancy makes the scope, this package spends it.
//
// # Memory
//
// One HMAC state per connection in use.
//
// # Format
//
// The setting sallyport.scope holds
//
//	v1.<site, hex>.<user, hex>.<expiry, unix seconds>.<backend pid or 0>.<mac, hex>
//
// with mac = HMAC-SHA256(key, everything before its dot). The functions of [Install]
// accept it under any key in sallyport.seal_key.
//
// # Query modes and poolers
//
//	                   direct   pgbouncer, transaction mode
//	cache_statement    yes      no: statements stay behind on another connection
//	cache_describe     yes      yes
//	describe_exec      yes      yes
//	exec               yes      yes
//	simple_protocol    no       no: it shows the seal in pg_stat_activity
//	Config.BindPID     yes      no: one client has many processes
//
// # Example
//
//	// alter role app_login set search_path = app
//	db, err := rls.Open(ctx, rls.Config{Pool: pool, Key: key, SearchPath: []string{"app"}})
//	...
//	func (s *Store) Calls(ctx context.Context, scope tenancy.Scope) (calls []Call, err error) {
//		batch := &rls.Batch{}
//		batch.Query(func(rows pgx.Rows) error {
//			calls, err = pgx.CollectRows(rows, pgx.RowToStructByName[Call])
//			return err
//		}, "select id, note from calls order by id desc limit 50")
//		return calls, s.db.Read(ctx, scope, batch)
//	}
package rls
