// Package privacy keeps personal data out of an audit log that nobody can change, so
// that a person can still be forgotten.
//
// # Threat
//
// A name, an address or a reason lies in an entry for ever, because removing it would
// break every proof; or it is removed, and with it the proof that nothing else was. An
// action is recorded that nobody declared, without the reason that it demands.
//
// # Guarantees
//
//   - Actions come from a declared set ([Config.Actions]). [Register.Prepare] refuses
//     another one, a missing reason and an undeclared field, and gives each field its
//     declared class.
//   - Confidential and restricted fields, and reasons where the action says so, are
//     sealed under a key of the person ([Sealer]) before the entry is made: plaintext
//     reaches neither a file nor a write-ahead log, an index or a backup.
//   - [Register.Erase] destroys the person's key. The entries, and so every checkpoint
//     and proof, stay what they were. The erasure is recorded as an intent and as its
//     outcome; the [Erasure] says where.
//   - [Register.Export] writes what the log knows of a person, as JSON or CSV.
//   - [Register.Activities] writes the records of processing activities (GDPR Article
//     30, https://gdpr-info.eu/art-30-gdpr/) from the declarations.
//
// # Not guaranteed
//
//   - Erasing is as good as the Sealer: a key in a backup that is kept for years keeps
//     the data alive as long.
//   - Ids of actors and targets are written as they are. They must be opaque, and what
//     connects them with a person must be erased where it is kept.
//   - A backup of plaintext elsewhere is not found from here.
//
// # Place among the gates
//
// In front of the log: prepare a record, then append it.
//
// # Memory
//
// Export holds one record at a time for CSV and JSON.
//
// # Example
//
//	register, err := privacy.New(privacy.Config{
//		Store: log, Sealer: vault,
//		Actions: []privacy.Action{{
//			Name: "calls.junk", NeedsReason: true,
//			Fields: map[string]sallyport.Class{"phone": sallyport.Confidential},
//			Purpose: "billing", LegalBasis: "contract", Retention: "12 months",
//		}},
//	})
//	...
//	record, err = register.Prepare(ctx, record, subject) // of whom the sealed fields are
//	receipt, err := log.Append(ctx, record)
//	...
//	erasure, err := register.Erase(ctx, "s1", subject, by, "request of 21 November")
package privacy
