package qstash

import (
	"bytes"
	"crypto/sha256"

	"github.com/opsmantik/sallyport/hmacsig/internal/flatjws"
)

// encodedDigest is the length of a SHA-256 in base64url without padding.
const encodedDigest = 43

// claims are what a token says.
type claims struct {
	iss, sub, jti []byte // views of the decoded payload
	exp, nbf, iat int64
	body          [sha256.Size]byte
}

// Each claim has a bit, to see doubles and gaps.
const (
	hasIss = 1 << iota
	hasSub
	hasJTI
	hasBody
	hasExp
	hasNbf
	hasIat
	hasAll = 1<<iota - 1
)

// decodeClaims reads a payload. It fails on anything but one flat object that
// has every claim once and of its type.
func decodeClaims(buf []byte, text string) (c claims, ok bool) {
	raw, ok := flatjws.Decode(buf, text)
	if !ok {
		return c, false
	}
	seen := 0
	ok = flatjws.Members(raw, func(name, value []byte, kind byte) bool {
		bit, good := c.set(name, value, kind)
		twice := seen&bit != 0
		seen |= bit
		return good && !twice
	})
	return c, ok && seen == hasAll
}

// set stores one member and says which it was; 0 for a claim we do not know.
func (c *claims) set(name, value []byte, kind byte) (bit int, ok bool) {
	text := kind == '"'
	switch string(name) {
	case "iss":
		c.iss = value
		return hasIss, text
	case "sub":
		c.sub = value
		return hasSub, text
	case "jti":
		c.jti = value
		return hasJTI, text
	case "body":
		return hasBody, text && c.setBody(value)
	case "exp":
		c.exp, ok = flatjws.Seconds(value, kind)
		return hasExp, ok
	case "nbf":
		c.nbf, ok = flatjws.Seconds(value, kind)
		return hasNbf, ok
	case "iat":
		c.iat, ok = flatjws.Seconds(value, kind)
		return hasIat, ok
	}
	return 0, kind != '{'
}

// setBody decodes the digest; one "=" of padding may be there or not.
func (c *claims) setBody(text []byte) bool {
	if len(text) > encodedDigest+1 {
		return false
	}
	var buf [sha256.Size + 1]byte
	sum, ok := flatjws.Decode(buf[:], bytes.TrimSuffix(text, []byte("=")))
	if !ok || len(sum) != sha256.Size {
		return false
	}
	copy(c.body[:], sum)
	return true
}
