package hmacsig

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
)

// Limits on what an unauthenticated client can make a scheme look at. They are far
// above what any sender uses, and keep the work for a forgery small and known.
const (
	maxHeader = 4 << 10 // bytes of one signature header
	maxKeyID  = 256     // bytes of a key id
	maxMACs   = 8       // signatures in one request
)

// macSize is the size of an HMAC-SHA256.
const macSize = sha256.Size

// Scheme says what is read from a request, what is signed, and where the
// signature goes. The shipped ones are OpsMantik, StandardWebhooks, Svix, Stripe,
// GitHub, Slack and RFC9421; your own takes about 30 lines (see the examples).
// Its functions must be safe for concurrent use and must not read the body.
//
// By default the MAC is over Base, the body and Tail, in this order, and the
// whole body is read, up to its limit, before a forgery can be refused.
//
//	Signer                                Verifier
//	  a Message with KeyID, Timestamp       Read: headers -> Message, signatures
//	    and a new Nonce                     the KeySource: KeyID -> keys
//	  Base, body, Tail -> MAC               Base, body, Tail -> MAC, one of the signatures?
//	  Write: Message, MAC -> headers        Open: does it say what it should?
//	                                        the window, Expires, then the replay store
//
// Base and Tail are called on both sides. When signing, Raw is empty; when
// verifying, it is what Read left there, so that what is signed is the text that
// was sent and not a second spelling of it.
type Scheme struct {
	_ [0]func()

	// Name tells schemes apart in replay keys and in Event.Policy. Required, at
	// most 255 bytes.
	Name string
	// MaxAge is how old and MaxAhead how far in the future a timestamp may
	// be, unless Config says otherwise. MaxAge is required; both are at most 24
	// hours. Both sides are bounded: a message from the future would outlive the
	// replay store's memory of it.
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
	// SignsDigest: the MAC is over Base alone, which contains Message.Digest,
	// the SHA-256 of the body. A forgery is refused before one byte of its body
	// is read.
	SignsDigest bool
	// IgnoresBody: the MAC is over Base alone and says nothing of the body,
	// which is left as it is. For signed URLs and session tokens.
	IgnoresBody bool
	// Status answers a request that fails to prove its origin, 400 to 499.
	// Zero: 401.
	Status int
	// Challenge is the WWW-Authenticate of a 401 (RFC 9110 section 11.6.1).
	// Empty: `Signature scheme="NAME"`.
	Challenge string

	// KeyID reports whether a text can be a key id of this scheme. Nil: it has
	// none, and its KeySource is asked for "". New holds StaticKeys against it,
	// and NewSigner the SignerConfig.
	KeyID func(string) bool
	// Read takes the parts out of the request's headers. It returns a Fault, or
	// an error that wraps one. Nothing is authenticated yet: every byte may be an
	// attacker's, and each part must have one spelling, or the same message has
	// several.
	Read func(*http.Request, *Message) error
	// Base appends what is signed ahead of the body to dst. No two different
	// messages may give the same bytes: a part that may contain the separator
	// must be refused in Read. With "id.timestamp.body", the id "a.100" and the
	// time 200 would be the same text as the id "a", the time 100 and a body that
	// begins with "200.".
	Base func(dst []byte, r *http.Request, m *Message) []byte
	// Tail, if set, appends what is signed after the body. It must be of one
	// length, or say where the body ends, so that no byte can move between the
	// two.
	Tail func(dst []byte, r *http.Request, m *Message) []byte
	// Open, if set, examines what was authenticated: it runs after the MAC has
	// been verified. It returns a Fault, or an error that wraps one.
	Open func(m *Message, now time.Time) error
	// Write puts the signature on an outgoing request. A scheme without it
	// can verify and not sign.
	Write func(r *http.Request, m *Message, mac []byte)

	// Done reports whether an answer of this status says that the message has
	// had its effect. Nil: 200 to 299, and 101 of a hijacked connection.
	Done func(status int) bool

	secrets secretForm
}

// secretForm is how the vendor of a scheme hands its secrets out.
type secretForm uint8

const (
	_                secretForm = iota // either way
	secretsAsTheyAre                   // Stripe: "whsec_..." is the key
	secretsDecoded                     // Standard Webhooks: "whsec_" and the key in base64
)

// problems notes what is wrong with a scheme for verifying.
func (s *Scheme) problems(list *configerr.List) {
	if s.Name == "" || s.Read == nil || s.Base == nil {
		list.Add("Scheme", s.Name, sallyport.ConfigRequired, "needs at least Name, Read and Base")
	}
	if len(s.Name) > 255 {
		list.Add("Scheme.Name", s.Name, sallyport.ConfigOutOfRange, "is longer than 255 bytes")
	}
	if s.SignsDigest && s.IgnoresBody {
		list.Add("Scheme.SignsDigest", "", sallyport.ConfigConflict, "contradicts IgnoresBody")
	}
	if s.Tail != nil && !s.signsBody() {
		list.Add("Scheme.Tail", "", sallyport.ConfigConflict,
			"has no body in front of it; append it in Base")
	}
	if s.Status != 0 && (s.Status < 400 || s.Status > 499) {
		list.Add("Scheme.Status", strconv.Itoa(s.Status), sallyport.ConfigOutOfRange,
			"is not a 4xx status")
	}
}

// signsBody reports whether the body itself is under the MAC.
func (s *Scheme) signsBody() bool { return !s.SignsDigest && !s.IgnoresBody }

func (s *Scheme) done(status int) bool {
	if s.Done != nil {
		return s.Done(status)
	}
	return status >= 200 && status < 300 || status == http.StatusSwitchingProtocols
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
	// Digest is the SHA-256 of the body, in SignsDigest schemes: Read or Open
	// sets the one that was signed.
	Digest [sha256.Size]byte
	// Expires is the first second, in Unix time, in which the message is no
	// longer acceptable, if it says so itself; at most 24 hours from now. It is
	// enforced beside the window. Read or Open sets it. Zero: Timestamp and
	// MaxAge alone decide.
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
// and at most 4 KiB long. Two values are refused, because which one a program
// takes differs between programs. Name may be in any case.
func SingleHeader(h http.Header, name string) (string, error) {
	values, found := h[name]
	if !found {
		values = h[http.CanonicalHeaderKey(name)]
	}
	switch {
	case len(values) == 0 || len(values) == 1 && values[0] == "":
		return "", fmt.Errorf("%s: %w", name, missing)
	case len(values) > 1:
		return "", fmt.Errorf("%s is there %d times: %w", name, len(values), malformed)
	case len(values[0]) > maxHeader:
		return "", fmt.Errorf("%s is longer than 4 KiB: %w", name, malformed)
	}
	return values[0], nil
}

// ParseUnix reads a timestamp in Unix seconds: 9 to 12 decimal digits, which
// are the years 1973 to 33658, and no sign, no space, no fraction. Longer ones
// are milliseconds. Sign the text as it was sent, and not what ParseUnix
// returns, where leading zeros may be sent.
func ParseUnix(text string) (unix int64, ok bool) {
	if len(text) < 9 || len(text) > 12 {
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

// appendUnix is the inverse of ParseUnix for timestamps without leading zeros.
func appendUnix(dst []byte, unix int64) []byte { return strconv.AppendInt(dst, unix, 10) }

// isToken reports whether text consists of 1 to limit bytes that no scheme
// uses as a separator: letters, digits, '_', '-'.
func isToken(text string, limit int) bool {
	if text == "" || len(text) > limit {
		return false
	}
	for i := range len(text) {
		if !tokenBytes[text[i]] {
			return false
		}
	}
	return true
}

var tokenBytes = func() (table [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-" {
		table[c] = true
	}
	return table
}()
