// Package recording keeps what was said in a call: sealed, in segments, until somebody
// erases it.
//
// # Threat
//
// A copy of the bucket or of the disk is listened to. Segments are cut off, exchanged, or
// taken from another call. A link is passed on. A call has to be erased, and copies of it
// are everywhere. The server crashes in the middle of a call.
//
// # Guarantees
//
//   - Audio is an Ogg/Opus file that tenancy/envelope seals in chunks of 4 KiB, about a
//     second of speech, under the key of its call. Each chunk is bound to site, call,
//     track and its index, and the last one is known as such.
//   - Segments are pieces of that one sealed file, 64 KiB each. A [Store] puts them
//     whole, as S3 does. The newest is put again with each chunk, so a crash costs the
//     chunk that is not full.
//   - A recording that was finished opens whole or not at all. What a crash has left
//     opens up to its last chunk, and says that it is unfinished.
//   - [Archive.Erase] destroys the key of the call: its audio and its transcript, in
//     whatever copy.
//   - A transcript is restricted: it is sealed, too, and card numbers in it are masked
//     first (PCI DSS requirement 3.5).
//
// # Not guaranteed
//
// Whoever can delete objects can make a finished recording look like one that a crash has
// cut off; the event of its end, in the audit log, tells its length. How long each call
// was, and which site's, is visible. This server hears what it records.
//
// # Place among the gates
//
// Behind site access to list, link, transcribe and erase; behind a signed URL to play.
//
// # Memory
//
// 64 KiB for a segment, and up to 500 packets, per recording.
//
// # Example
//
//	archive, err := recording.New(recording.Config{Vault: vault, Store: dir})
//	...
//	r, err := archive.Start(ctx, recording.Track{Site: site, Call: call, ID: session})
//	err = r.Write(sequence, timestamp, opus)
//	err = r.Close()
package recording
