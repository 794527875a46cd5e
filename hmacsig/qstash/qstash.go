package qstash

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/internal/flatjws"
	"github.com/opsmantik/sallyport/internal/configerr"
)

// Header is where the token travels.
const Header = "Upstash-Signature"

const (
	issuer      = "Upstash"
	lifetime    = 5 * time.Minute // what QStash gives its tokens
	maxLifetime = 24 * time.Hour
	maxLeeway   = 5 * time.Minute
	maxJTI      = 128
	maxDecoded  = 2048 // bytes of a header or payload
)

// Config configures a verifier of deliveries. New copies it.
type Config struct {
	_ [0]func() // keyed literals only

	// URLs are the destinations that deliveries are signed for, as they were
	// given to QStash. Required. They are never taken from the request: a client
	// chooses Host. With several, the one counts whose path and query are those of
	// the request, so that a delivery for one is none for another; no two may have
	// the same. With a single one, the path is not compared, and proxies may
	// rewrite it.
	//
	//	{"https://a.example/work"}                                permitted
	//	{"https://a.example/calls", "https://a.example/mail"}     permitted
	//	{"https://a.example/work", "https://b.example/work"}      refused: a verifier each
	URLs []string
	// Current and Next are the signing keys. Next may be the zero Secret.
	Current, Next hmacsig.Secret
	// Leeway is how far the clocks may differ, 0 to 5 minutes. Zero means
	// none.
	Leeway time.Duration

	// The rest is as in hmacsig.Config. Event.Policy is "qstash".
	Replay                 hmacsig.ReplayStore
	DangerouslyAllowReplay bool
	MaxBodyBytes           int64
	OnEvent                func(context.Context, sallyport.Event)
	OnReject               func(http.ResponseWriter, *http.Request, *sallyport.Refusal)
	ProblemBase            string
}

// New makes a verifier. Every problem is reported at once, each a
// *sallyport.ConfigError.
func New(cfg Config) (*hmacsig.Verifier, error) {
	list := configerr.For("hmacsig/qstash")
	checkURLs(list, cfg.URLs)
	if cfg.Leeway < 0 || cfg.Leeway > maxLeeway {
		list.Add("Leeway", cfg.Leeway.String(), sallyport.ConfigOutOfRange,
			"is not between 0 and 5m")
	}
	ring, err := hmacsig.NewRotation(cfg.Current, cfg.Next)
	list.Join(err)
	if err := list.Err(); err != nil {
		return nil, err
	}
	return hmacsig.New(hmacsig.Config{
		Scheme:                 scheme(cfg.URLs, cfg.Leeway, lifetime),
		Keys:                   hmacsig.StaticKeys{"": ring},
		Replay:                 cfg.Replay,
		DangerouslyAllowReplay: cfg.DangerouslyAllowReplay,
		MaxBodyBytes:           cfg.MaxBodyBytes,
		OnEvent:                cfg.OnEvent,
		OnReject:               cfg.OnReject,
		ProblemBase:            cfg.ProblemBase,
	})
}

// SignerConfig configures a signer of deliveries.
type SignerConfig struct {
	_ [0]func()

	// URL is the destination, as the receiver has it configured.
	URL string
	// Secret is the current signing key.
	Secret hmacsig.Secret
	// Lifetime of a token, default 5 minutes, at most 24 hours.
	Lifetime time.Duration
	// MaxBodyBytes is the largest body that is signed, default 1 MiB.
	MaxBodyBytes int64
}

// NewSigner makes a signer. Every request gets a token of its own with a new
// jti, retries included.
func NewSigner(cfg SignerConfig) (*hmacsig.Signer, error) {
	if cfg.Lifetime == 0 {
		cfg.Lifetime = lifetime
	}
	list := configerr.For("hmacsig/qstash")
	checkURL(list, "URL", cfg.URL)
	if cfg.Lifetime < time.Second || cfg.Lifetime > maxLifetime {
		list.Add("Lifetime", cfg.Lifetime.String(), sallyport.ConfigOutOfRange,
			"is not between 1s and 24h")
	}
	signer, err := hmacsig.NewSigner(hmacsig.SignerConfig{
		Scheme:       scheme([]string{cfg.URL}, 0, cfg.Lifetime),
		Secret:       cfg.Secret,
		MaxBodyBytes: cfg.MaxBodyBytes,
	})
	list.Join(err)
	if err := list.Err(); err != nil {
		return nil, err
	}
	return signer, nil
}

func checkURLs(list *configerr.List, urls []string) {
	if len(urls) == 0 {
		list.Add("URLs", "", sallyport.ConfigRequired, "is the destination as QStash has it")
	}
	targets := make(map[string]bool, len(urls))
	for i, text := range urls {
		field := "URLs[" + strconv.Itoa(i) + "]"
		checkURL(list, field, text)
		target := targetOf(text)
		if targets[target] {
			list.Add(field, text, sallyport.ConfigDuplicate,
				"has the path of another one; make a verifier each")
		}
		targets[target] = true
	}
}

// targetOf is the request target that a URL leads to; "" of none.
func targetOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.RequestURI()
}

func checkURL(list *configerr.List, field, text string) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		list.Add(field, text, sallyport.ConfigMalformed, "is not an absolute http or https URL")
		return
	}
	// What the claims scanner compares must be what the signer writes.
	if strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c == '"' || c == '\\' }) {
		list.Add(field, text, sallyport.ConfigMalformed, "has unescaped characters")
	}
}

// What a token is refused with.
const (
	missing     = hmacsig.Fault(hmacsig.CodeSignatureMissing)
	malformed   = hmacsig.Fault(hmacsig.CodeSignatureMalformed)
	expired     = hmacsig.Fault(hmacsig.CodeSignatureExpired)
	notYetValid = hmacsig.Fault(hmacsig.CodeSignatureNotYetValid)
	mismatch    = hmacsig.Fault(hmacsig.CodeSignatureClaims)
)

// scheme is Upstash-Signature as an hmacsig.Scheme. The body's digest is in
// the signed part, so a forgery is refused unread.
func scheme(urls []string, leeway, life time.Duration) hmacsig.Scheme {
	targets := make(map[string]string, len(urls))
	for _, text := range urls {
		targets[targetOf(text)] = text
	}
	return hmacsig.Scheme{
		Name:        "qstash",
		MaxAge:      maxLifetime,
		Untimed:     true, // open checks exp and nbf
		SignsDigest: true,
		Status:      http.StatusForbidden,
		Read: func(r *http.Request, m *hmacsig.Message) error {
			if m.Subject = urls[0]; len(urls) > 1 {
				m.Subject = targets[requestTarget(r)] // "": none of them
			}
			return read(r, m)
		},
		Base: func(dst []byte, _ *http.Request, m *hmacsig.Message) []byte {
			if m.Raw != "" {
				return append(dst, m.Raw...)
			}
			return appendToken(dst, urls[0], life, m)
		},
		Open: func(m *hmacsig.Message, now time.Time) error {
			return open(m, now, leeway)
		},
		Write: func(r *http.Request, m *hmacsig.Message, mac []byte) {
			token := append(appendToken(nil, urls[0], life, m), '.')
			token = base64.RawURLEncoding.AppendEncode(token, mac)
			r.Header.Set(Header, string(token))
		},
	}
}

// read cuts the token at its two dots. Nothing of it is decoded but the
// signature.
func read(r *http.Request, m *hmacsig.Message) error {
	token, err := hmacsig.SingleHeader(r.Header, Header)
	if err != nil {
		return err
	}
	token = strings.Trim(token, " \t") // optional white space, RFC 9110 section 5.5
	if token == "" {
		return missing
	}
	last := strings.LastIndexByte(token, '.')
	if last < 0 || strings.Count(token[:last], ".") != 1 || !m.AddBase64URL(token[last+1:]) {
		return malformed
	}
	m.Raw = token[:last]
	return nil
}

// requestTarget is the path and query as they are on the request line.
func requestTarget(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") || r.URL == nil {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

// open examines the token once its signature has been verified. Subject is the
// destination that the request is for.
func open(m *hmacsig.Message, now time.Time, leeway time.Duration) error {
	header, payload, _ := strings.Cut(m.Raw, ".")
	buf := make([]byte, min(len(m.Raw), maxDecoded))
	if !flatjws.IsHS256(buf, header) {
		return malformed
	}
	c, ok := decodeClaims(buf, payload)
	if !ok || len(c.jti) == 0 || len(c.jti) > maxJTI {
		return malformed
	}
	if string(c.iss) != issuer || m.Subject == "" || string(c.sub) != m.Subject {
		return mismatch
	}
	unix, slack := now.Unix(), int64(leeway/time.Second)
	switch {
	case unix >= c.exp+slack: // RFC 7519 section 4.1.4: on or after
		return expired
	case unix < c.nbf-slack:
		return notYetValid
	case c.exp-c.nbf > int64(maxLifetime/time.Second):
		return mismatch
	}
	m.Nonce, m.Timestamp, m.Digest, m.Expires = string(c.jti), c.iat, c.body, c.exp+slack
	return nil
}

// appendToken writes the signed part of a token: header "." payload.
func appendToken(dst []byte, destination string, life time.Duration, m *hmacsig.Message) []byte {
	dst = append(dst, flatjws.UsualHeader+"."...)
	p := make([]byte, 0, 320)
	p = append(p, `{"iss":"`+issuer+`","sub":"`...)
	p = append(p, destination...)
	p = append(p, `","exp":`...)
	p = strconv.AppendInt(p, m.Timestamp+int64(life/time.Second), 10)
	p = append(p, `,"nbf":`...)
	p = strconv.AppendInt(p, m.Timestamp, 10)
	p = append(p, `,"iat":`...)
	p = strconv.AppendInt(p, m.Timestamp, 10)
	p = append(p, `,"jti":"jwt_`...)
	p = append(p, m.Nonce...)
	p = append(p, `","body":"`...)
	p = base64.RawURLEncoding.AppendEncode(p, m.Digest[:])
	p = append(p, `"}`...)
	return base64.RawURLEncoding.AppendEncode(dst, p)
}
