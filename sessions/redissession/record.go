package redissession

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
)

// A session is a header, which the scripts read and write, and a payload, which
// they pass on. Times of the header are microseconds as doubles, which is what
// Lua has.
//
//	kind (1 live, 2 replaced), seen, started, idle, lifetime, epoch, version
//	of a replaced one: since when, and the hash of the key that follows it
//	level, flags, idle and lifetime in nanoseconds, id, user, client, data; numbers and
//	the lengths of the texts are varints
const (
	headerLen   = 1 + 6*8
	replacedLen = 8 + hashLen
	hashLen     = 43 // base64 of 32 bytes
	live        = 1
	replaced    = 2
)

var errCorrupt = errors.New("redissession: a stored session cannot be read")

// payload encodes what the scripts need not know.
func payload(rec *sessions.Record) []byte {
	b := make([]byte, 0, 32+len(rec.ID)+len(rec.User)+len(rec.Client)+len(rec.Data))
	flags := byte(0)
	if rec.Remember {
		flags = 1
	}
	b = append(b, byte(rec.Level), flags)
	b = binary.AppendVarint(b, int64(rec.Idle))
	b = binary.AppendVarint(b, int64(rec.Lifetime))
	for _, s := range [...]string{rec.ID, rec.User, rec.Client} {
		b = binary.AppendVarint(b, int64(len(s)))
		b = append(b, s...)
	}
	return append(b, rec.Data...)
}

// decode reads a stored session into rec, but for its key.
func decode(text string, rec *sessions.Record) error {
	if len(text) < headerLen {
		return errCorrupt
	}
	decodeHeader(text, rec)
	rest := text[headerLen:]
	switch text[0] {
	case live:
	case replaced:
		if len(rest) < replacedLen {
			return errCorrupt
		}
		rec.Replaced = true
		rest = rest[replacedLen:]
	default:
		return errCorrupt
	}
	if len(rest) < 2 {
		return errCorrupt
	}
	rec.Level, rec.Remember = sallyport.Level(rest[0]), rest[1] == 1
	rest = rest[2:]
	for _, into := range [...]*time.Duration{&rec.Idle, &rec.Lifetime} {
		n, ok := varint(&rest)
		if !ok {
			return errCorrupt
		}
		*into = time.Duration(n)
	}
	for _, into := range [...]*string{&rec.ID, &rec.User, &rec.Client} {
		size, ok := varint(&rest)
		if !ok || size < 0 || size > int64(len(rest)) {
			return errCorrupt
		}
		*into, rest = rest[:size], rest[size:]
	}
	rec.Data = []byte(rest)
	return nil
}

// varint reads a number from the beginning of text.
func varint(text *string) (int64, bool) {
	n, size := binary.Varint([]byte((*text)[:min(len(*text), binary.MaxVarintLen64)]))
	if size <= 0 {
		return 0, false
	}
	*text = (*text)[size:]
	return n, true
}

// decodeHeader reads what the server's clock and order decide. The text is long
// enough.
func decodeHeader(text string, rec *sessions.Record) {
	number := func(i int) float64 {
		var b [8]byte
		copy(b[:], text[1+8*i:])
		return math.Float64frombits(binary.BigEndian.Uint64(b[:]))
	}
	rec.Seen = time.UnixMicro(int64(number(0)))
	rec.Started = time.UnixMicro(int64(number(1)))
	rec.Version = uint64(number(5))
}

// name is a session's key within its shard: four digits of the tag, and the hash.
func name(key sessions.Key) string {
	var b [4 + hashLen]byte
	const digits = "0123456789abcdef"
	for i := range 4 {
		b[i] = digits[key.Tag>>(12-4*i)&15]
	}
	base64.RawURLEncoding.Encode(b[4:], key.Hash[:])
	return string(b[:])
}

// keyOf is the inverse of name.
func keyOf(name string) (key sessions.Key, ok bool) {
	if len(name) != 4+hashLen {
		return key, false
	}
	tag, err := strconv.ParseUint(name[:4], 16, 16)
	if err != nil {
		return key, false
	}
	key.Tag = uint16(tag)
	n, err := base64.RawURLEncoding.Decode(key.Hash[:], []byte(name[4:]))
	return key, err == nil && n == len(key.Hash)
}
