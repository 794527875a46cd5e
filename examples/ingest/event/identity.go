package event

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// How far apart two receipts of one identity may be and still be one event.
//
// The tracker freezes an event when it queues it, and sends it again by beacon
// at unload, after lost answers and on the next visit. So a repeat equals its
// original as a JSON value, however late it comes; and distinct events differ
// somewhere, nearly always in what they measure.
const (
	// Window is for events that two honest actions can repeat word for word, as
	// two views of one page: the tracker's retries begin after 5 and 30 s, its
	// heartbeats are 60 s apart. It slides: each repeat is compared with the last.
	Window = 45 * time.Second
	// Horizon is for events that carry something that moves, such as
	// intent_stamp or a duration. How long a browser keeps what it could not send
	// is not known; this is longer than most visitors stay away.
	Horizon = 30 * 24 * time.Hour
)

// Seal makes an event ready for the queue, and says when another one is the
// same. Call it once the event is masked, before it is stored: identity is
// the whole event as it was received, what is stored may be cut.
func (r *Received) Seal() {
	if r.Call != nil {
		identity := r.Call.identity()
		r.Identity = identity[:]
	}
	if r.Event == nil {
		return
	}
	e := r.Event
	r.Stamp = e.marks.stamp
	// Without a session and a fingerprint, an event belongs to nobody known: two
	// equal ones may be two visitors.
	if e.Session != "" || e.marks.fingerprint != "" {
		identity := e.Identity()
		r.Identity, r.Fold = identity[:], Window.Milliseconds()
		if e.marks.moves {
			r.Fold = Horizon.Milliseconds()
		}
	}
	e.finish(r.At)
}

// Identity returns the digest of the whole event, every member included. Each
// field is length-prefixed, so that no two different events share an encoding.
// JSON values count in their canonical form (RFC 8785, but whole numbers digit by
// digit): neither spelling nor the order of members matters.
func (e *Event) Identity() [sha256.Size]byte {
	var buf []byte
	add := func(field []byte) {
		buf = binary.AppendUvarint(buf, uint64(len(field)))
		buf = append(buf, field...)
	}
	for _, field := range [...]string{
		e.Site, e.Session, e.Month, e.Category, e.Action, e.Label, e.URL, e.Referrer,
	} {
		add([]byte(field))
	}
	for _, value := range [...]jsontext.Value{e.Value, e.Meta, e.Unknown} {
		add(canonical(value))
	}
	buf = binary.AppendUvarint(buf, uint64(len(e.Consent)))
	for _, scope := range e.Consent {
		add([]byte(scope))
	}
	return sha256.Sum256(buf)
}

// canonical is a copy in canonical form; absence, null and {} are the same.
func canonical(v jsontext.Value) jsontext.Value {
	if len(v) == 0 || v.Kind() == 'n' {
		return nil
	}
	v = v.Clone()
	// What cannot be read is compared as it is; nothing here gets that far.
	_ = v.Canonicalize(jsontext.CanonicalizeRawInts(false))
	if string(v) == "{}" {
		return nil
	}
	return v
}
