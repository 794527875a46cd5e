package rls

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strconv"
	"strings"
	"sync"
	"time"
)

// sealer makes the sealed setting:
//
//	v1.<site, hex>.<user, hex>.<expiry, unix seconds>.<backend pid or 0>.<mac, hex>
//
// The MAC is HMAC-SHA256 over everything before its own dot. Whoever can run SQL
// as the application's role can set the setting to what they like, but cannot make
// a MAC; what they find there they may replay until it expires, for its own site.
type sealer struct{ states sync.Pool }

func newSealer(key []byte) *sealer {
	key = append([]byte(nil), key...)
	return &sealer{states: sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

func (s *sealer) seal(site, user string, expires time.Time, pid uint32) string {
	mac := s.states.Get().(hash.Hash)
	defer s.states.Put(mac)
	mac.Reset()
	b := make([]byte, 0, 3+2*(len(site)+len(user))+40+2*sha256.Size)
	b = append(b, "v1."...)
	b = hex.AppendEncode(b, []byte(site))
	b = append(b, '.')
	b = hex.AppendEncode(b, []byte(user))
	b = append(b, '.')
	b = strconv.AppendInt(b, expires.Unix(), 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, uint64(pid), 10)
	mac.Write(b)
	var sum [sha256.Size]byte
	b = append(b, '.')
	return string(hex.AppendEncode(b, mac.Sum(sum[:0])))
}

// pads returns the two halves of an HMAC key as SHA-256 uses them (RFC 2104,
// section 2). The database computes the MAC from them with its built-in sha256 and
// needs no extension.
func pads(key []byte) (inner, outer string) {
	if len(key) > sha256.BlockSize {
		sum := sha256.Sum256(key)
		key = sum[:]
	}
	pad := func(x byte) string {
		block := make([]byte, sha256.BlockSize)
		copy(block, key)
		for i := range block {
			block[i] ^= x
		}
		return hex.EncodeToString(block)
	}
	return pad(0x36), pad(0x5c)
}

// quote writes a text as an SQL literal.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
