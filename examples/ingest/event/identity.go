package event

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Window is how far apart two receipts of the same content may be and still be
// one event, for events without a stamp. The tracker sends an event again by
// beacon at unload and after failures (from 5 s, from 30 s on 429); its
// heartbeats are 60 s apart. 45 s lies between the two.
const Window = 45 * time.Second

// Identity returns the digest of the fields by which an event is recognised;
// the tracker sends no event id. Each field is length-prefixed, so that no two
// different events share an encoding.
//
// The rest of meta is not part of it: a tracker measures on between two sends.
//
// Receipt time is not part of it either: a fixed grid of windows would split a double
// that straddles a boundary. The store compares receipts instead (see Window).
func (e *Event) Identity() [sha256.Size]byte {
	known, visitor := e.marks(), e.Session
	if visitor == "" {
		// Without a session, two visitors on one page are told apart by the
		// fingerprint; a UUID never begins like this.
		visitor = "fp:" + text(known.Fingerprint)
	}
	fields := [...]string{
		e.Site, visitor, e.Category, e.Action, e.Label, e.value(), e.URL, text(known.Stamp),
	}
	var buf []byte
	for _, field := range fields {
		buf = binary.AppendUvarint(buf, uint64(len(field)))
		buf = append(buf, field...)
	}
	return sha256.Sum256(buf)
}

// value is "ev" with its absence and null the same.
func (e *Event) value() string {
	if e.Value.Kind() == 'n' {
		return ""
	}
	return string(e.Value)
}
