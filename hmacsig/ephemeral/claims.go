package ephemeral

import (
	"crypto/sha256"
	"time"

	"github.com/opsmantik/sallyport/hmacsig/internal/flatjws"
)

// claims are what a token says, as it says it.
type claims struct {
	Session
	iss, aud      string
	iat, nbf, exp int64
	seen          int // one bit for each claim
}

// Each claim has a bit, to see doubles and gaps.
const (
	hasIss = 1 << iota
	hasAud
	hasSub
	hasSite
	hasRoom
	hasJTI
	hasCnf
	hasIat
	hasNbf
	hasExp
	hasAll = 1<<iota - 1
)

// readClaims reads a payload. It fails on anything but one object that has every
// claim once, of its type, and no other.
func readClaims(buf []byte, payload string) (c claims, ok bool) {
	raw, ok := flatjws.Decode(buf, payload)
	if !ok || !flatjws.Members(raw, c.set) || c.seen != hasAll {
		return claims{}, false
	}
	c.Expires = time.Unix(c.exp, 0)
	return c, true
}

// set stores one member.
func (c *claims) set(name, value []byte, kind byte) bool {
	switch string(name) {
	case "iss":
		return c.text(&c.iss, hasIss, value, kind)
	case "aud":
		return c.text(&c.aud, hasAud, value, kind)
	case "sub":
		return c.text(&c.Subject, hasSub, value, kind)
	case "site":
		return c.text(&c.Site, hasSite, value, kind)
	case "room":
		return c.text(&c.Room, hasRoom, value, kind)
	case "jti":
		return c.text(&c.ID, hasJTI, value, kind)
	case "iat":
		return c.seconds(&c.iat, hasIat, value, kind)
	case "nbf":
		return c.seconds(&c.nbf, hasNbf, value, kind)
	case "exp":
		return c.seconds(&c.exp, hasExp, value, kind)
	case "cnf":
		return c.once(hasCnf) && kind == '{' && c.confirmation(value)
	}
	return false
}

// once notes a claim, and reports false if it was there before.
func (c *claims) once(bit int) bool {
	first := c.seen&bit == 0
	c.seen |= bit
	return first
}

func (c *claims) text(dst *string, bit int, value []byte, kind byte) bool {
	*dst = string(value)
	return c.once(bit) && kind == '"' && len(value) > 0 && len(value) <= maxText
}

func (c *claims) seconds(dst *int64, bit int, value []byte, kind byte) (ok bool) {
	*dst, ok = flatjws.Seconds(value, kind)
	return c.once(bit) && ok && *dst > 0
}

// confirmation reads {"x5t#S256":"..."} and nothing else (RFC 8705 section 3.1).
func (c *claims) confirmation(object []byte) bool {
	found := 0
	return flatjws.Members(object, func(name, value []byte, kind byte) bool {
		found++
		var buf [sha256.Size + 1]byte
		sum, ok := flatjws.Decode(buf[:], value)
		if !ok || len(sum) != sha256.Size || kind != '"' || string(name) != "x5t#S256" {
			return false
		}
		c.Certificate = [sha256.Size]byte(sum)
		return true
	}) && found == 1
}
