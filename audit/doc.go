// Package audit records who did what, so that nobody can change the record later
// without being noticed.
//
// # Threat
//
// Somebody with access to the log, an administrator or an intruder, edits, removes,
// reorders, inserts or cuts off records; a value with a line break in it forges one;
// a crash or a full disk loses one that was promised.
//
// # Guarantees
//
//   - A record is encoded once. Those bytes are stored, and those bytes are hashed:
//     nothing is ever verified after decoding and encoding again.
//   - The records are the leaves of a Merkle tree (RFC 6962 section 2.1,
//     https://www.rfc-editor.org/rfc/rfc6962#section-2.1, as in
//     golang.org/x/mod/sumdb/tlog). [Verify] against a known [tlog.Tree] finds every
//     edit, insertion, deletion, reordering and truncation.
//   - [Record.Encode], [Head.Next] and [Verify] do no I/O: they run inside a
//     transaction of the caller's, so that an action and its record are stored
//     together or not at all.
//   - [Log.Append] returns success only after fsync of the file, and of its directory
//     when the file is new. Many appenders share one fsync. A failed write or fsync
//     breaks the log for good: nothing is retried on a file in an unknown state.
//   - A file that was removed, moved, replaced or truncated under an open log breaks
//     it too: nothing is acknowledged that nobody would find again.
//   - What a crash leaves of a batch was never acknowledged, whichever of its pages
//     reached the disk. [New] removes it and says so ([Log.Torn]); any other damage,
//     and a file that is not a log, is an error.
//   - An entry is one line of printable text, at most 65,535 bytes: control and
//     format characters, U+0085, U+2028 and direction marks are escaped.
//   - Fields are written only if their class allows it, or sealed; an unclassified
//     value is redacted.
//
// # Not guaranteed
//
//   - The log proves nothing against somebody who can rewrite it and the head that is
//     kept beside it. It is tamper-evident from the moment a tree head has left their
//     reach: send [Log.Head] somewhere else, regularly. The same goes for the end of
//     the log: whoever can remove the last batches can make them look as if they had
//     never been.
//   - A disk that loses whole sectors of the newest batch after it was acknowledged
//     looks like a crash. A tree head that was kept elsewhere tells the difference.
//   - Times are the caller's clock; the order is that of the index.
//   - One [Log] per directory: a second one would fork the tree. New locks the
//     directory (flock) and refuses, on Linux, macOS and the BSDs; elsewhere, and on
//     network file systems without locks, only the next New finds the damage.
//   - fsync is as good as the disk below it.
//   - A [Head] inside a transaction serialises the transactions that append. That
//     suits a database with one writer, such as SQLite.
//
// # Place among the gates
//
// Innermost: in the handler's transaction, or right after a decision.
//
// # Memory
//
// A log holds [Config.Queue] waiting entries at most, the one entry of each call
// that waits to queue, and 32 bytes for each bit of its size. A batch ends at a
// megabyte of entries and its last one; with its lines and receipts it takes a few
// megabytes.
//
// # Format
//
// An entry is a JSON object with these members in this order; tenant, target, reason
// and fields are left out when empty, fields are sorted by name:
//
//	{"v":1,"time":"2026-11-21T10:00:00Z","actor":{"kind":"user","id":"u_81"},
//	"tenant":"s1","action":"calls.seal","target":{"kind":"call","id":"7"},
//	"outcome":"success","reason":"duplicate","fields":{"from":"open",
//	"card":null,"phone":{"k":"9f3c","c":"q83vEjRWeJA"}}}
//
// A field is a string, null for a value that its class kept out, or the handle of a
// key and ciphertext under it. So is the reason, except that it is never null.
//
// A log is a directory of segments. Each is named after the index of its first
// entry, "00000000000000000000.log", and holds lines that end with a line feed. The
// first line is the head of the tree before the segment:
//
//	sallyport-audit 1 0
//
// Batches follow, each written at once and synced before the next one. The first line
// of a batch says how many bytes and entries follow for it, and the root hash of the
// tree that ends with it. Each line of an entry is its index from 0, the first eight
// bytes of the hash of its leaf, and the entry:
//
//	+437 2 3c2f...9b
//	0 81d0...7c {"v":1,...}
//	1 5be4...02 {"v":1,...}
//
// The text of a [Head] is the size of the tree and the hashes of the largest full
// subtrees from left to right (as many as the size has one bits), in hex.
//
// # Example
//
// For events that have no transaction, a directory of files:
//
//	log, err := audit.New(audit.Config{Dir: "audit"})
//	...
//	receipt, err := log.Append(ctx, record) // durable when err is nil
//
// In the transaction of the action, here SQLite with BEGIN IMMEDIATE:
//
//	var head audit.Head
//	err := head.UnmarshalText(text) // SELECT head FROM audit_head; "0" if empty
//	...
//	entry, err := audit.Record{
//		Time:    time.Now(),
//		Actor:   audit.Ref{Kind: sallyport.KindUser, ID: user},
//		Tenant:  site,
//		Action:  "calls.seal",
//		Target:  audit.Ref{Kind: "call", ID: call},
//		Outcome: audit.OutcomeSuccess,
//		Fields:  []audit.Field{{Name: "from", Value: "open", Class: sallyport.Internal}},
//	}.Encode()
//	if err != nil {
//		return err // roll back: what cannot be recorded does not happen
//	}
//	text, _ = head.Next(entry).MarshalText()
//	// INSERT INTO audit_log VALUES (head.Size(), entry); UPDATE audit_head ...
//
// Read the entries and the head in one transaction to verify them, or an action in
// between looks like tampering.
package audit
