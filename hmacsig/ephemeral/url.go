package ephemeral

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
)

const (
	defaultLifetime = 5 * time.Minute
	maxLifetime     = 24 * time.Hour
	maxSession      = 5 * time.Minute
	defaultLeeway   = 5 * time.Second
	maxLeeway       = time.Minute
	maxText         = 128  // bytes of a scope, subject, issuer, audience
	maxDecoded      = 2048 // bytes of a token's header or payload
)

// URLConfig configures both sides of signed URLs.
type URLConfig struct {
	_ [0]func() // keyed literals only

	// Scope is what the URL opens: letters, digits, '_', '-', '.' and ':', 1
	// to 128. A verifier accepts this scope and no other. Required.
	Scope string
	// Keys verify; the first active one signs. Required.
	Keys hmacsig.Keyring
	// Lifetime of a URL, default 5 minutes, at most 24 hours. A verifier
	// refuses a URL while it has more than this left.
	Lifetime time.Duration
	// Leeway is how far the signer's clock may be ahead, 0 to 1 minute. Zero: 5
	// seconds.
	Leeway time.Duration
	// SingleUse accepts a URL once. It needs Replay where several instances
	// answer; nil means this process's memory.
	SingleUse bool
	Replay    hmacsig.ReplayStore

	// OnEvent, OnReject and ProblemBase are as in hmacsig.Config.
	OnEvent     func(context.Context, sallyport.Event)
	OnReject    func(http.ResponseWriter, *http.Request, *sallyport.Refusal)
	ProblemBase string
}

// NewURLVerifier makes a verifier. Every problem is reported at once.
func NewURLVerifier(cfg URLConfig) (*hmacsig.Verifier, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return hmacsig.New(hmacsig.Config{
		Scheme:                 urlScheme(&cfg),
		Keys:                   hmacsig.StaticKeys{"": cfg.Keys},
		Replay:                 cfg.Replay,
		DangerouslyAllowReplay: !cfg.SingleUse,
		OnEvent:                cfg.OnEvent,
		OnReject:               cfg.OnReject,
		ProblemBase:            cfg.ProblemBase,
	})
}

// URLSigner signs URLs of one scope. It is safe for concurrent use. The zero
// URLSigner and nil sign nothing.
type URLSigner struct {
	cfg URLConfig
}

// NewURLSigner makes a signer. Every problem is reported at once.
func NewURLSigner(cfg URLConfig) (*URLSigner, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return &URLSigner{cfg: cfg}, nil
}

// Sign returns target, a path or an absolute http or https URL, with a signature
// for one method. Its query may not use the names expires, nonce, scope and sig.
//
// What Sign returns is spelled as browsers spell it, so that they change nothing:
// spaces, quotes and letters outside ASCII are percent-encoded. What a browser
// would resolve first is an error.
//
//	/recordings/Müller "1".ogg?q=a b    signed as /recordings/M%C3%BCller%20%221%22.ogg?q=a%20b
//	recordings/1.ogg                    refused: relative to a page that we do not know
//	/recordings/../1.ogg                refused: browsers send /1.ogg
//	mailto:a@example.com                refused: no request
func (s *URLSigner) Sign(method, target string) (string, error) {
	if s == nil || s.cfg.Scope == "" {
		return "", errNotNew
	}
	u, err := parseTarget(target)
	if err != nil {
		return "", err
	}
	signer, err := newSigner(urlScheme(&s.cfg), s.cfg.Keys)
	if err != nil {
		return "", err
	}
	r := &http.Request{Method: method, URL: u}
	if err := signer.Sign(r); err != nil {
		return "", err
	}
	return u.String(), nil
}

// parseTarget reads a target and spells it as browsers do.
func parseTarget(target string) (*url.URL, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, errors.New("hmacsig/ephemeral: the target is not a URL") // may hold a secret
	}
	query, err := url.ParseQuery(u.RawQuery)
	web := (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
	path := u.Scheme == "" && strings.HasPrefix(target, "/")
	switch {
	case err != nil:
		return nil, errors.New("hmacsig/ephemeral: the target's query is malformed")
	case !web && !path:
		return nil, errors.New("hmacsig/ephemeral: the target is no path and no http or https URL")
	case u.User != nil:
		return nil, errors.New("hmacsig/ephemeral: the target holds a user name")
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return nil, errors.New("hmacsig/ephemeral: the target's path has a dot segment")
		}
	}
	for _, name := range [...]string{"expires", "nonce", "scope", "sig"} {
		if query.Has(name) {
			return nil, errors.New("hmacsig/ephemeral: the query already has " + name)
		}
	}
	u.Fragment, u.RawFragment = "", ""
	u.RawPath, u.RawQuery = percent(u.EscapedPath()), percent(u.RawQuery)
	return u, nil
}

// percent encodes what a browser would encode in a path or a query (WHATWG URL,
// percent-encode sets), and leaves escapes as they are.
func percent(text string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if c > ' ' && c < 0x7f && strings.IndexByte("\"#'<>\\^`{|}", c) < 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', hex[c>>4], hex[c&15]})
	}
	return b.String()
}

func (c *URLConfig) check() error {
	if c.Lifetime == 0 {
		c.Lifetime = defaultLifetime
	}
	if c.Leeway == 0 {
		c.Leeway = defaultLeeway
	}
	list := newList()
	checkText(list, "Scope", c.Scope)
	checkDuration(list, "Lifetime", c.Lifetime, time.Second, maxLifetime)
	checkDuration(list, "Leeway", c.Leeway, 0, maxLeeway)
	checkKeys(list, c.Keys)
	if c.Replay != nil && !c.SingleUse {
		list.Add("Replay", "", sallyport.ConfigConflict, "is never asked without SingleUse")
	}
	return list.Err()
}

// urlScheme is a signed URL as an hmacsig.Scheme. Raw is what is signed but for the
// method: when verifying, the request target up to the signature; when signing, what
// Base builds and Write puts into the URL.
func urlScheme(cfg *URLConfig) hmacsig.Scheme {
	return hmacsig.Scheme{
		Name:        "signed-url",
		MaxAge:      maxLifetime,
		Untimed:     true, // Open checks the expiry
		IgnoresBody: true,
		Done:        used,
		Status:      http.StatusForbidden,
		Read:        readURL,
		Base: func(dst []byte, r *http.Request, m *hmacsig.Message) []byte {
			dst = append(append(dst, r.Method...), '\n')
			if m.Raw != "" {
				return append(dst, m.Raw...)
			}
			m.Expires = m.Timestamp + int64(cfg.Lifetime/time.Second)
			m.Raw = requestTarget(r)
			m.Raw += separator(m.Raw) + "expires=" + strconv.FormatInt(m.Expires, 10) +
				"&nonce=" + m.Nonce + "&scope=" + url.QueryEscape(cfg.Scope)
			return append(dst, m.Raw...)
		},
		Open: func(m *hmacsig.Message, now time.Time) error {
			switch left := m.Expires - now.Unix(); {
			case left <= 0:
				return expired
			case left > int64((cfg.Lifetime+cfg.Leeway)/time.Second), m.Subject != cfg.Scope:
				return mismatch
			}
			return nil
		},
		Write: func(r *http.Request, m *hmacsig.Message, mac []byte) {
			_, query, _ := strings.Cut(m.Raw, "?")
			r.URL.RawQuery = query + "&sig=" + base64.RawURLEncoding.EncodeToString(mac)
		},
	}
}

// separator is what joins a parameter to a target.
func separator(target string) string {
	if strings.Contains(target, "?") {
		return "&"
	}
	return "?"
}

// requestTarget is the path and query as they are on the request line.
func requestTarget(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") || r.URL == nil {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

// readURL takes the four parameters off the end of the query, in their one
// order. What stands in front of them is the application's.
//
//	/rec/42.ogg?part=1&expires=1795299683&nonce=...&scope=rec:read&sig=...
//	|-- the application's --|                                     |
//	|-- signed, with "GET" and a line feed in front --------------|
//
// They are cut from the right, so that a second "&sig=" or "&scope=" in front of
// them is the application's text, and signed.
func readURL(r *http.Request, m *hmacsig.Message) error {
	target := requestTarget(r)
	signed, sig, ok := cutLast(target, "&sig=")
	if !ok {
		return missing
	}
	if len(target) > 8<<10 || strings.IndexByte(target, '\n') >= 0 || !m.AddBase64URL(sig) {
		return malformed
	}
	rest, scope, ok := cutLast(signed, "&scope=")
	if !ok {
		return malformed
	}
	rest, nonce, ok := cutLast(rest, "&nonce=")
	if !ok || len(nonce) < 16 || len(nonce) > 64 {
		return malformed
	}
	rest, expires, ok := cutLast(rest, "expires=")
	if !ok || !strings.HasSuffix(rest, "?") && !strings.HasSuffix(rest, "&") {
		return malformed
	}
	unix, err := strconv.ParseUint(expires, 10, 40)
	if err != nil || strings.HasPrefix(expires, "0") {
		return malformed
	}
	plain, err := url.QueryUnescape(scope)
	if err != nil {
		return malformed
	}
	m.Raw, m.Nonce, m.Subject = signed, nonce, plain
	m.Expires = int64(unix) // #nosec G115 -- 40 bits
	return nil
}

// cutLast is strings.Cut at the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
