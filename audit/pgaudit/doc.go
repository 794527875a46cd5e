// Package pgaudit keeps an audit log in Postgres, with each record in the
// transaction of its action.
//
// # Threat
//
// An action happens and its record does not, because the process died between two
// writes; or a record says what was then rolled back. A database owner edits rows.
//
// # Guarantees
//
//   - [Do] commits the action and its record together or not at all. The record is
//     one plain INSERT: no head is locked, so transactions do not wait for each other.
//   - One sequencer ([Log.Sequence], [Log.Run]) gives each committed record its index,
//     exactly once, through crashes, with several processes that try, and after a dump
//     was restored elsewhere. A record that was committed before another one began
//     comes before it.
//   - The application's role can add records, and neither read, change nor remove one.
//     Row level security is on and forced; the log refuses UPDATE, DELETE and TRUNCATE
//     even of its owner, until the owner removes the trigger.
//   - [New] refuses a log that contradicts [Config.Published].
//
// # Not guaranteed
//
//   - A superuser can rewrite everything. Rows are tamper-evident once a checkpoint
//     has left the database owner's reach (package audit/publish).
//   - A record that was committed and not yet sequenced is in no tree: its removal
//     would not be noticed. [Log.Lag] says how many there are.
//   - Rows that the sequencer took can only be vacuumed when no older transaction is
//     open: one that is open for hours, anywhere in the database, makes the sequencer
//     slower. Set idle_in_transaction_session_timeout.
//   - An error of [Do] with [audit.CodeOutcomeUnknown] means that the connection broke
//     while it committed. Look before you repeat the action.
//
// # Place among the gates
//
// Innermost: Do is the handler's transaction.
//
// # One log for all tenants
//
// A checkpoint then covers everybody at once, and witnesses see one log however many
// tenants there are. A tenant is shown its own rows, each with a proof that it is in
// the tree. A head for each tenant would multiply the fsyncs of the sequencer by the
// number of tenants that were active in a round.
//
// # Memory
//
// A round holds [Config.Batch] entries.
//
// # Example
//
//	sql, err := pgaudit.Schema(pgaudit.Roles{App: "app", Sequencer: "seq", Auditor: "aud"})
//	// run sql as the owner, once
//
//	err = pgaudit.Do(ctx, pool, func(tx pgx.Tx) (audit.Record, error) {
//		_, err := tx.Exec(ctx, `UPDATE calls SET status = 'sealed' WHERE id = $1`, call)
//		return audit.Record{...}, err
//	})
//
//	log, err := pgaudit.New(ctx, pgaudit.Config{Pool: sequencerPool})
//	go log.Run(ctx, 100*time.Millisecond)
package pgaudit
