// Package envelope encrypts values and files with keys of their site or their person,
// bound to the place where they belong, so that destroying one small key erases all that
// a person has left in tables, logs and backups.
//
//	KEK (KMS, never leaves)
//	  └─ wraps ─ data key of an owner: a site, or a person of a site
//	               ├─ seals cells:  AES-256-GCM, bound to site, table, column, row
//	               └─ seals files:  chunks of 4 KiB, readable from anywhere
//	Shred(owner) deletes the wrapped key: nothing of the owner opens again
//
// # Threat
//
// A copy of the database, or of a backup, is read; a sealed value is moved to another
// row, column, table, site or person, where somebody may read it; a value is built that
// reads differently for two readers; a file is cut off or its parts exchanged; a person's
// data has to go, and copies of it are everywhere.
//
// # Guarantees
//
//   - A value opens in its [Place] only: site, person, table, column and row are
//     authenticated, each with its length.
//   - A sealed value opens under the one key that it names. GCM alone lets somebody who
//     knows two keys make a value that opens under both; a commitment in the header and in
//     the key's record ends that.
//   - A wrapped key opens for its owner only, and is checked against its record.
//   - Whatever does not open returns [ErrOpen] and no plaintext, without a reason.
//   - All processes together seal at most 2^32 values with a key before there is a new
//     one (NIST SP 800-38D section 8.3); a key older than Config.RotateAfter seals no more.
//   - A file opens only if its end is there; a chunk comes out only if it is unchanged and
//     in its place.
//   - After [Vault.Shred] nothing opens in this process; in others after Config.CacheTTL,
//     or at once with [Vault.Forget]. A load under way does not bring the key back.
//
// # Not guaranteed
//
//   - Who can use the KEK and read the store of keys can open everything. Whoever restores
//     a backup of the store of keys undoes a Shred: keep it apart, and its backups short.
//   - The length of a value, how many there are, and whose key sealed which are visible.
//   - Old values can be put back where they were: nothing here says what is newest.
//   - Memory: secrets are cleared after use, but AES key schedules stay in memory until the
//     collector takes them, and a core dump has them.
//   - [LocalKEK] is for development.
//
// # Place among the gates
//
// None: stores call it, with the site of a tenancy.Scope in [Place]. A [Vault] is what an
// audit log can seal personal fields with, without either package importing the other:
// examples/quickstart/erasure does.
//
// # Memory
//
// At most Config.CacheSize owners, of about 1.5 KB per key that was used. A file that is
// open holds two chunks.
//
// # Format
//
// A sealed value is longer than its plaintext by [Overhead], 61 bytes:
//
//	1 byte    1
//	32 bytes  commitment: HKDF-Expand(secret, "sallyport envelope v1 commit")
//	12 bytes  nonce, random
//	n bytes   AES-256-GCM under HKDF-Expand(secret, "sallyport envelope v1 encrypt")
//	16 bytes  tag
//
// with the additional data "c", site, subject, table, column and row, each after its length
// as an unsigned varint. A file is
//
//	1 byte    2
//	32 bytes  commitment
//	32 bytes  salt, random
//	chunks    of 4096 bytes and a tag of 16; the last one may be shorter
//
// under HKDF(HKDF-Expand(secret, "sallyport envelope v1 file"), salt, place), with the
// place as above but for "f". The nonce of a chunk is its index in 11 bytes, big endian,
// and 1 for the last or 0. The KEK wraps the 32 bytes of the secret with the additional
// data "sallyport envelope v1 key", site and subject, each after its length.
//
// # Example
//
//	vault, err := envelope.New(envelope.Config{KEK: kms, Store: keys})
//	...
//	at := envelope.Place{
//		Site: scope.Site(), Subject: person, Table: "calls", Column: "transcript", Row: call,
//	}
//	sealed, err := vault.Seal(ctx, nil, at, transcript)
//	...
//	transcript, err := vault.Open(ctx, nil, at, sealed)
//	...
//	err = vault.Shred(ctx, envelope.Owner{Site: scope.Site(), Subject: person})
package envelope
