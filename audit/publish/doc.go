// Package publish signs the head of an audit log and publishes the log in the formats
// of the transparency log ecosystem, so that anybody's tools can check it.
//
// # Threat
//
// Whoever owns the log rewrites its past: restores an older copy, shows one history
// to one reader and another one to the next, or takes an entry out and recomputes all
// hashes. Inside the log nothing can tell.
//
// # Guarantees
//
//   - A checkpoint (https://c2sp.org/tlog-checkpoint) is signed only over entries that
//     the store calls durable, and only after the tiles that prove it are on disk.
//   - The signer refuses with [ErrInconsistent] whatever is not an extension of the
//     tree that it signed last: a log that was truncated, rolled back, forked or edited.
//   - Tiles and entry bundles (https://c2sp.org/tlog-tiles) are plain files that any
//     web server can serve. The partial ones of every signed size are kept.
//   - A proof ([Publisher.Proof], https://c2sp.org/tlog-proof) convinces somebody who
//     has the public key, offline, that an entry is in the log at its index.
//   - Witnesses (https://c2sp.org/tlog-witness) cosign a checkpoint only if it extends
//     the one that they saw before. With [Config.Quorum] nothing is published that too
//     few of them have cosigned. A witness that saw more than the log has, or something
//     else, stops publication whatever the quorum.
//
// # Not guaranteed
//
//   - Without a witness, and before [Config.OnPublish] or a reader has taken a
//     checkpoint away, its owner can still replace log, tiles, signature and key file
//     at once. A checkpoint that nobody else holds proves nothing.
//   - A key that lies in the same backup as the log signs a restored copy of it as
//     gladly. Witnesses notice, and so does everybody who kept a newer checkpoint.
//   - Entry bundles hold the entries as they are. Sealed fields stay sealed; who acted
//     on what is readable. Serve them to auditors, not to the public.
//   - One Publisher per directory.
//
// # Place among the gates
//
// None: it runs beside the server, every few seconds or minutes. [Publisher.Handler]
// belongs behind the gates that admit auditors.
//
// # Memory
//
// A round takes about 10 MiB, however large the log is.
//
// # Format
//
// Below [Config.Dir]:
//
//	checkpoint                     the last published one
//	signed                         the last signed one; what it says binds the signer
//	tile/0/x001/067                256 hashes of leaves, those from 1067*256 on
//	tile/1/004.p/43                43 hashes of the tiles below
//	tile/entries/x001/067          the entries of that tile, each after its length
//
// A checkpoint is a signed note (https://c2sp.org/signed-note):
//
//	audit.example.com/shop
//	20852163
//	CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//
//	— audit.example.com/shop Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5...
//
// # Example
//
//	signer, err := note.NewSigner(key) // golang.org/x/mod/sumdb/note, GenerateKey
//	...
//	publisher, err := publish.New(publish.Config{
//		Origin: "audit.example.com/shop", Store: log, Dir: "public",
//		Signer: signer, Verifier: verifier,
//	})
//	...
//	for range time.Tick(time.Minute) {
//		checkpoint, err := publisher.Publish(ctx)
//		...
//	}
package publish
