package sessions

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"iter"
	"strconv"
	"strings"
	"time"
)

const (
	tokenBytes = 33 // a multiple of three: base64 leaves no spare bits to vary
	tokenChars = 44
	slots      = 1 << 14 // Redis Cluster's number of hash slots
)

// Key addresses a session in a [Store]. It is comparable, and safe in a backup:
// the token cannot be computed from it.
type Key struct {
	Tag  uint16   // slot tag, the same for all sessions of a user
	Hash [32]byte // SHA-256 of the whole token, tag included
}

// Tag returns the tag of every key of that user, for stores that look up a user's
// sessions: it is all of a user that a key tells.
func Tag(user string) uint16 {
	sum := sha256.Sum256([]byte(user))
	return binary.BigEndian.Uint16(sum[:]) % slots
}

// newToken draws a token for a session of user.
func newToken(user string) (string, Key) {
	var raw [tokenBytes]byte
	tag := Tag(user)
	binary.BigEndian.PutUint16(raw[:], tag)
	_, _ = rand.Read(raw[2:]) // documented never to fail: it ends the process instead
	return base64.RawURLEncoding.EncodeToString(raw[:]), Key{Tag: tag, Hash: sha256.Sum256(raw[:])}
}

// parseToken turns a token into its key. It refuses everything that newToken
// cannot have made before any store hears of it.
func parseToken(token string) (Key, bool) {
	if len(token) != tokenChars {
		return Key{}, false
	}
	var raw [tokenBytes]byte
	var text [tokenChars]byte
	copy(text[:], token) // on the stack, instead of a conversion that allocates
	n, err := base64.RawURLEncoding.Decode(raw[:], text[:])
	tag := binary.BigEndian.Uint16(raw[:])
	if err != nil || n != tokenBytes || tag >= slots {
		return Key{}, false
	}
	return Key{Tag: tag, Hash: sha256.Sum256(raw[:])}, true
}

// findCookie returns the value of the cookie with exactly this name and how many
// there are, at most 2. net/http keeps duplicates and the order is the client's,
// so "the first" would be an attacker's choice.
func findCookie(lines []string, name string) (value string, count int) {
	for val := range cookies(lines, name) {
		if count++; count > 1 {
			return "", count
		}
		value = val
	}
	return value, count
}

// blanks are what net/http trims around the parts of a Cookie header.
const blanks = " \t\r\n"

// cookies yields the value of every cookie with exactly this name. It is as lenient
// as net/http about blanks and a missing "=": a cookie that anyone downstream might
// see counts as a duplicate.
func cookies(lines []string, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for part := range strings.SplitSeq(line, ";") {
				got, value, _ := strings.Cut(strings.Trim(part, blanks), "=")
				if strings.TrimRight(got, blanks) == name && !yield(value) {
					return
				}
			}
		}
	}
}

// maxTokens bounds what one request can make Logout and Start look up.
const maxTokens = 8

// tokens returns the keys of the first well-formed tokens among these cookies.
func tokens(lines []string, name string) []Key {
	var keys []Key
	for value := range cookies(lines, name) {
		if key, ok := parseToken(value); ok && len(keys) < maxTokens {
			keys = append(keys, key)
		}
	}
	return keys
}

// validCookieName accepts the token characters of RFC 9110 section 5.6.2.
func validCookieName(name string) bool {
	for _, c := range []byte(name) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return len(name) <= 128
}

const hardened = "; Path=/; Secure; HttpOnly; SameSite=Strict"

// setCookie is the header value that puts a token into the browser. Without
// Max-Age it leaves with the browser; the server's clocks decide in any case.
func setCookie(name, token string, rec *Record) string {
	if rec.Remember {
		seconds := int64(rec.Lifetime / time.Second)
		return name + "=" + token + "; Max-Age=" + strconv.FormatInt(seconds, 10) + hardened
	}
	return name + "=" + token + hardened
}

// clearCookie is the header value that removes it.
func clearCookie(name string) string { return name + "=; Max-Age=0" + hardened }
