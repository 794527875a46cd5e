package hmacsig

import (
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

// Pieces of the profile's fixed text.
const (
	sigLabel   = "sig1"
	sigTag     = "sallyport"
	sigCovered = `("@method" "@authority" "@path" "@query" "content-digest")`
	digestOpen = "sha-256=:"
)

// RFC9421 is this project's own scheme: one fixed profile of HTTP Message
// Signatures (RFC 9421) with the digest of RFC 9530.
//
//	Content-Digest:  sha-256=:BASE64:
//	Signature-Input: sig1=("@method" "@authority" "@path" "@query"
//	                 "content-digest");created=UNIX;nonce="N";keyid="K";
//	                 tag="sallyport"                      (on one line)
//	Signature:       sig1=:BASE64:
//	signed:          the signature base of RFC 9421 section 2.5
//
// Everything is required and in this order and spelling: a profile with one
// form has no parser to confuse. Nonce and key id are letters, digits, '_'
// and '-': 16 to 128 and 1 to 128 of them. Accepted up to 300 s old and 60 s
// ahead. The body's digest is under the MAC, so a forgery is refused before
// one byte of the body is read, and a body is bound to its method, host, path
// and query.
//
// The path and query are those of the request line as it arrived: what a
// proxy or middleware rewrites before this server must be rewritten back or
// signed as rewritten. The authority is Host in lower case without ":80" or
// ":443", since a server behind a TLS proxy cannot tell which was the default.
func RFC9421() Scheme {
	return Scheme{
		Name:        "rfc9421",
		MaxAge:      300 * time.Second,
		MaxAhead:    60 * time.Second,
		SignsDigest: true,
		KeyID:       isKeyID,
		Read:        readRFC9421,
		Base:        baseRFC9421,
		Write: func(r *http.Request, m *Message, mac []byte) {
			r.Header.Set("Content-Digest", string(appendDigest(nil, m)))
			r.Header.Set("Signature-Input", sigLabel+"="+string(appendParams(nil, m)))
			r.Header.Set("Signature", sigLabel+"=:"+base64.StdEncoding.EncodeToString(mac)+":")
		},
	}
}

// isKeyID reports whether a text can stand in the keyid parameter.
func isKeyID(text string) bool { return isToken(text, 128) }

func readRFC9421(r *http.Request, m *Message) error {
	digest, err := SingleHeader(r.Header, "Content-Digest")
	if err != nil {
		return err
	}
	input, err := SingleHeader(r.Header, "Signature-Input")
	if err != nil {
		return err
	}
	sig, err := SingleHeader(r.Header, "Signature")
	if err != nil {
		return err
	}
	text, ok := between(sig, sigLabel+"=:", ":")
	if !ok || !m.AddBase64(text) {
		return malformed
	}
	text, ok = between(digest, digestOpen, ":")
	if !ok || !decode32(&m.Digest, strictStd, text) {
		return malformed
	}
	if !m.readParams(input) || !oneLine(r) {
		return malformed
	}
	return nil
}

// readParams takes Signature-Input apart. Raw keeps the parameters, which are
// the last line of the signature base, as they were sent.
func (m *Message) readParams(input string) bool {
	params, ok := strings.CutPrefix(input, sigLabel+"=")
	if !ok {
		return false
	}
	rest, ok := strings.CutPrefix(params, sigCovered+";created=")
	if !ok {
		return false
	}
	created, rest, ok := strings.Cut(rest, `;nonce="`)
	if !ok {
		return false
	}
	nonce, rest, ok := strings.Cut(rest, `";keyid="`)
	if !ok {
		return false
	}
	keyID, ok := strings.CutSuffix(rest, `";tag="`+sigTag+`"`)
	if !ok || !isToken(nonce, 128) || len(nonce) < 16 || !isKeyID(keyID) {
		return false
	}
	if m.Timestamp, ok = ParseUnix(created); !ok {
		return false
	}
	m.Nonce, m.KeyID, m.Raw = nonce, keyID, params
	return true
}

// baseRFC9421 builds the signature base, RFC 9421 section 2.5.
func baseRFC9421(dst []byte, r *http.Request, m *Message) []byte {
	path, query := target(r)
	method := r.Method
	if method == "" {
		method = http.MethodGet // as net/http reads an outgoing ""
	}
	dst = append(append(dst, `"@method": `...), method...)
	dst = appendLower(append(dst, "\n\"@authority\": "...), authority(r))
	dst = append(append(dst, "\n\"@path\": "...), path...)
	dst = append(append(dst, "\n\"@query\": ?"...), query...)
	dst = appendDigest(append(dst, "\n\"content-digest\": "...), m)
	dst = append(dst, "\n\"@signature-params\": "...)
	return appendParams(dst, m)
}

// target returns the path and query as they are on the wire: URL.Path is
// decoded, and "/a%2Fb" is not "/a/b".
func target(r *http.Request) (path, query string) {
	if strings.HasPrefix(r.RequestURI, "/") {
		path, query, _ = strings.Cut(r.RequestURI, "?")
		return path, query
	}
	if r.URL == nil {
		return "/", ""
	}
	path = r.URL.EscapedPath()
	if path == "" {
		path = "/" // RFC 9421 section 2.2.6
	}
	return path, r.URL.RawQuery
}

// authority is RFC 9421 section 2.2.3, less both default ports.
func authority(r *http.Request) string {
	host := r.Host
	if host == "" && r.URL != nil {
		host = r.URL.Host
	}
	if bare, ok := strings.CutSuffix(host, ":443"); ok {
		return bare
	}
	return strings.TrimSuffix(host, ":80")
}

// oneLine guards the line structure of the base against requests that did
// not come through net/http's parser.
func oneLine(r *http.Request) bool {
	path, query := target(r)
	for _, part := range [...]string{r.Method, r.Host, path, query} {
		if strings.IndexByte(part, '\n') >= 0 {
			return false
		}
	}
	return true
}

func appendLower(dst []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

// appendDigest is RFC 9530 section 2 with one algorithm.
func appendDigest(dst []byte, m *Message) []byte {
	dst = base64.StdEncoding.AppendEncode(append(dst, digestOpen...), m.Digest[:])
	return append(dst, ':')
}

func appendParams(dst []byte, m *Message) []byte {
	if m.Raw != "" {
		return append(dst, m.Raw...)
	}
	dst = appendUnix(append(dst, sigCovered+";created="...), m.Timestamp)
	dst = append(append(dst, `;nonce="`...), m.Nonce...)
	dst = append(append(dst, `";keyid="`...), m.KeyID...)
	return append(dst, `";tag="`+sigTag+`"`...)
}

// between returns what stands between a prefix and a suffix.
func between(s, prefix, suffix string) (string, bool) {
	s, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(s, suffix)
}
