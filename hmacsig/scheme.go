package hmacsig

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"time"
)

// Limits on what an unauthenticated client can make a scheme look at.
const (
	maxHeader = 4 << 10 // bytes of one signature header
	maxKeyID  = 256     // bytes of a key id
	maxMACs   = 8       // signatures in one request
)

// macSize is the size of an HMAC-SHA256.
const macSize = sha256.Size

// Coverage says how a scheme protects the body.
type Coverage int

const (
	// SignsBody: the MAC is over Base followed by the body. The whole body is
	// read, up to its limit, before a forgery can be refused.
	SignsBody Coverage = iota
	// SignsDigest: the MAC is over Base alone, which contains the SHA-256 of
	// the body. A forgery is refused before one body byte is read.
	SignsDigest
	// SignsHead: the MAC is over Base alone and says nothing of the body,
	// which is left as it is. For signed URLs and session tokens.
	SignsHead
)

// Scheme says what is read from a request, what is signed, and where the
// signature goes. The shipped ones are OpsMantik, StandardWebhooks, Stripe,
// GitHub, Slack and RFC9421; your own takes about 30 lines (see the example).
// Its functions must be safe for concurrent use and must not read the body.
type Scheme struct {
	_ [0]func()

	// Name tells schemes apart in replay keys. Required.
	Name string
	// MaxAge is how old and MaxAhead how far in the future a timestamp may
	// be, unless Config says otherwise. Required, up to 24 hours, unless
	// Untimed.
	MaxAge, MaxAhead time.Duration
	// Untimed: Message.Timestamp is not checked, because nothing signed says
	// when (GitHub) or because Open checks it. Without Message.Expires the
	// replay entry lives for MaxAge.
	Untimed bool
	// Several: a request may carry several signatures, as senders do that
	// rotate keys (Stripe, Standard Webhooks). Without it a second one is
	// malformed. Without Message.Nonce such a message is known by its MAC under
	// the first active key, so it can be replayed once when that key changes.
	Several bool
	// Coverage says whether the body or its digest is signed.
	Coverage Coverage
	// Status answers a request that fails to prove its origin. Zero: 401.
	Status int

	// Read takes the parts out of the request's headers. It returns ErrMissing
	// or an error that wraps ErrMalformed; nothing is authenticated yet.
	Read func(*http.Request, *Message) error
	// Base appends what is signed ahead of the body to dst. No two different
	// messages may give the same bytes: a part that may contain the separator
	// must be refused in Read.
	Base func(dst []byte, r *http.Request, m *Message) []byte
	// Open, if set, examines what was authenticated: it runs after the MAC has
	// been verified. It returns ErrExpired, ErrNotYetValid, ErrClaims or
	// ErrMalformed.
	Open func(m *Message, now time.Time) error
	// Write puts the signature on an outgoing request. A scheme without it
	// can verify and not sign.
	Write func(r *http.Request, m *Message, mac []byte)
}

// Message holds the parts of one signed request.
type Message struct {
	// KeyID says whose keys to use: at most 256 bytes, "" where the scheme has
	// none. It need not be signed: the key it selects binds it.
	KeyID string
	// Timestamp is when the message was signed, in Unix seconds.
	Timestamp int64
	// Nonce is a signed unique id, if the scheme has one. It then identifies
	// the message in the replay store; otherwise the MAC does.
	Nonce string
	// Subject is whom or what the message is about, if it says so.
	Subject string
	// Digest is the SHA-256 of the body, in SignsDigest schemes.
	Digest [sha256.Size]byte
	// Expires is when the message stops being acceptable, in Unix seconds, if
	// it says so itself. Zero: Timestamp and MaxAge decide.
	Expires int64
	// Raw is the scheme's own: text that Read keeps for Base or Open.
	Raw string

	macs  [maxMACs][macSize]byte
	count int
}

// reset forgets everything but the bytes of old signatures, which count hides.
func (m *Message) reset() {
	m.KeyID, m.Nonce, m.Subject, m.Raw = "", "", "", ""
	m.Timestamp, m.Expires, m.count = 0, 0, 0
	m.Digest = [sha256.Size]byte{}
}

// AddHex adds a signature of 64 hexadecimal digits, either case. It reports
// whether the text was one and there was room for it.
func (m *Message) AddHex(text string) bool {
	if m.count == maxMACs || len(text) != 2*macSize {
		return false
	}
	mac := &m.macs[m.count]
	bad := byte(0)
	for i := range mac {
		high, low := hexDigits[text[2*i]], hexDigits[text[2*i+1]]
		bad |= high | low
		mac[i] = high<<4 | low&0x0f
	}
	if bad&notHex != 0 {
		return false
	}
	m.count++
	return true
}

// hexDigits maps a digit to its value and everything else to notHex. It is
// twice as fast as encoding/hex, which looks for the position of an error.
const notHex = 0x80

var hexDigits = func() (table [256]byte) {
	for i := range table {
		table[i] = notHex
	}
	for i, c := range "0123456789abcdef" {
		table[c] = byte(i)
	}
	for i, c := range "ABCDEF" {
		table[c] = byte(10 + i)
	}
	return table
}()

// AddBase64 adds a signature in standard base64 with padding, in its one
// canonical spelling. It reports whether the text was one and there was room.
func (m *Message) AddBase64(text string) bool {
	return m.add(strictStd, text)
}

// AddBase64URL adds a signature in base64url without padding, in its one
// canonical spelling (RFC 7515 section 2).
func (m *Message) AddBase64URL(text string) bool {
	return m.add(strictURL, text)
}

// Without Strict, four spellings of the last character decode alike.
var (
	strictStd = base64.StdEncoding.Strict()
	strictURL = base64.RawURLEncoding.Strict()
)

func (m *Message) add(enc *base64.Encoding, text string) bool {
	if m.count == maxMACs || !decode32(&m.macs[m.count], enc, text) {
		return false
	}
	m.count++
	return true
}

// decode32 decodes the one canonical spelling of 32 bytes.
func decode32(dst *[32]byte, enc *base64.Encoding, text string) bool {
	if len(text) != enc.EncodedLen(len(dst)) {
		return false
	}
	var buf [33]byte // room for what a padded encoding may claim
	n, err := enc.Decode(buf[:], []byte(text))
	if err != nil || n != len(dst) {
		return false // a line break, which the decoder skips, leaves too little
	}
	copy(dst[:], buf[:])
	return true
}

// SingleHeader returns the value of a header that must be there exactly once
// and at most 4 KiB long. Name is in canonical form. Two values are refused,
// because which one a program takes differs between programs.
func SingleHeader(h http.Header, name string) (string, error) {
	values := h[name]
	switch {
	case len(values) == 0 || len(values) == 1 && values[0] == "":
		return "", ErrMissing
	case len(values) > 1 || len(values[0]) > maxHeader:
		return "", ErrMalformed
	}
	return values[0], nil
}

// parseUnix reads a timestamp of low to high decimal digits: no sign, no
// space, no fraction, so that one moment has one spelling.
func parseUnix(text string, low, high int) (int64, bool) {
	if len(text) < low || len(text) > high {
		return 0, false
	}
	var n int64
	for i := range len(text) {
		d := text[i] - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + int64(d)
	}
	return n, true
}

// appendUnix is the inverse of parseUnix for timestamps without leading zeros.
func appendUnix(dst []byte, unix int64) []byte { return strconv.AppendInt(dst, unix, 10) }

// isToken reports whether text consists of 1 to limit bytes that no scheme
// uses as a separator: letters, digits, '_', '-'.
func isToken(text string, limit int) bool {
	if text == "" || len(text) > limit {
		return false
	}
	for i := range len(text) {
		c := text[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
