package ephemeral

import (
	"context"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/internal/flatjws"
)

// SessionConfig configures both sides of session tokens.
type SessionConfig struct {
	_ [0]func() // keyed literals only

	// Issuer and Audience are the claims iss and aud. Scope is what the token
	// opens, for one a room. All are compared whole. Letters, digits, '_',
	// '-', '.' and ':', 1 to 128. Required.
	Issuer, Audience, Scope string
	// Keys verify; the first active one signs. Required.
	Keys hmacsig.Keyring
	// Lifetime of a token, default 5 minutes, at most 24 hours. A verifier
	// refuses tokens that were made to live longer.
	Lifetime time.Duration
	// Replay remembers the jti of tokens that opened a session. Nil: this
	// process's memory.
	Replay hmacsig.ReplayStore
	// DangerouslyMultipleUse lets a token open any number of sessions.
	DangerouslyMultipleUse bool

	// OnEvent, OnReject and ProblemBase are as in hmacsig.Config.
	OnEvent     func(context.Context, sallyport.Event)
	OnReject    func(http.ResponseWriter, *http.Request, *sallyport.Refusal)
	ProblemBase string
}

// NewSessionVerifier makes a verifier of "Authorization: Bearer" tokens. What
// a token proves is in hmacsig.FromContext: Subject is sub, Nonce is jti.
func NewSessionVerifier(cfg SessionConfig) (*hmacsig.Verifier, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return hmacsig.New(hmacsig.Config{
		Scheme:                 sessionScheme(&cfg, ""),
		Keys:                   hmacsig.StaticKeys{"": cfg.Keys},
		Replay:                 cfg.Replay,
		DangerouslyAllowReplay: cfg.DangerouslyMultipleUse,
		OnEvent:                cfg.OnEvent,
		OnReject:               cfg.OnReject,
		ProblemBase:            cfg.ProblemBase,
	})
}

// SessionIssuer makes session tokens. It is safe for concurrent use.
type SessionIssuer struct {
	cfg SessionConfig
}

// NewSessionIssuer makes an issuer. Every problem is reported at once.
func NewSessionIssuer(cfg SessionConfig) (*SessionIssuer, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return &SessionIssuer{cfg: cfg}, nil
}

// Issue makes a token for a subject (a user's id), of the characters that the
// configuration's texts may have.
func (s *SessionIssuer) Issue(subject string) (token string, err error) {
	if s == nil || s.cfg.Scope == "" {
		return "", errNotNew
	}
	list := newList()
	checkText(list, "subject", subject)
	if err := list.Err(); err != nil {
		return "", err
	}
	signer, err := newSigner(sessionScheme(&s.cfg, subject), s.cfg.Keys)
	if err != nil {
		return "", err
	}
	r := &http.Request{Header: http.Header{}}
	if err := signer.Sign(r); err != nil {
		return "", err
	}
	return strings.TrimPrefix(r.Header.Get("Authorization"), bearer), nil
}

const bearer = "Bearer "

func (c *SessionConfig) check() error {
	if c.Lifetime == 0 {
		c.Lifetime = defaultLifetime
	}
	list := newList()
	checkText(list, "Issuer", c.Issuer)
	checkText(list, "Audience", c.Audience)
	checkText(list, "Scope", c.Scope)
	checkLifetime(list, c.Lifetime)
	checkKeys(list, c.Keys)
	if c.Replay != nil && c.DangerouslyMultipleUse {
		list.Add("Replay", "", sallyport.ConfigConflict, "is never asked with DangerouslyMultipleUse")
	}
	return list.Err()
}

// sessionScheme is a session token as an hmacsig.Scheme.
func sessionScheme(cfg *SessionConfig, subject string) hmacsig.Scheme {
	return hmacsig.Scheme{
		Name:        "session-jwt",
		MaxAge:      maxLifetime,
		Untimed:     true, // Open checks nbf and exp
		IgnoresBody: true,
		Read:        readSession,
		Base: func(dst []byte, _ *http.Request, m *hmacsig.Message) []byte {
			if m.Raw == "" {
				m.Raw = sessionToken(cfg, subject, m)
			}
			return append(dst, m.Raw...)
		},
		Open: func(m *hmacsig.Message, now time.Time) error { return openSession(cfg, m, now) },
		Write: func(r *http.Request, m *hmacsig.Message, mac []byte) {
			token := m.Raw + "." + base64.RawURLEncoding.EncodeToString(mac)
			r.Header.Set("Authorization", bearer+token)
		},
	}
}

func readSession(r *http.Request, m *hmacsig.Message) error {
	text, err := hmacsig.SingleHeader(r.Header, "Authorization")
	if err != nil {
		return err
	}
	token, ok := strings.CutPrefix(text, bearer)
	if !ok {
		return missing
	}
	signed, sig, ok := cutLast(token, ".")
	if !ok || strings.Count(signed, ".") != 1 || !m.AddBase64URL(sig) {
		return malformed
	}
	m.Raw = signed
	return nil
}

// sessionToken writes the signed part. All texts are of characters that JSON
// takes as they are.
func sessionToken(cfg *SessionConfig, subject string, m *hmacsig.Message) string {
	at := strconv.FormatInt(m.Timestamp, 10)
	end := strconv.FormatInt(m.Timestamp+int64(cfg.Lifetime/time.Second), 10)
	payload := `{"iss":"` + cfg.Issuer + `","aud":"` + cfg.Audience + `","sub":"` + subject +
		`","scope":"` + cfg.Scope + `","iat":` + at + `,"nbf":` + at + `,"exp":` + end +
		`,"jti":"` + m.Nonce + `"}`
	return flatjws.UsualHeader + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
}

// openSession examines the claims once the signature has been verified.
func openSession(cfg *SessionConfig, m *hmacsig.Message, now time.Time) error {
	header, payload, _ := strings.Cut(m.Raw, ".")
	buf := make([]byte, min(len(m.Raw), maxDecoded))
	if !flatjws.IsHS256(buf, header) {
		return malformed
	}
	raw, ok := flatjws.Decode(buf, payload)
	if !ok {
		return malformed
	}
	texts := map[string]string{"iss": "", "aud": "", "sub": "", "scope": "", "jti": ""}
	times := map[string]int64{"iat": 0, "nbf": 0, "exp": 0}
	seen := 0
	ok = flatjws.Members(raw, func(name, value []byte, kind byte) bool {
		seen++
		if old, known := texts[string(name)]; known {
			texts[string(name)] = string(value)
			return old == "" && kind == '"' && len(value) > 0 && len(value) <= maxText
		}
		old, known := times[string(name)]
		unix, good := flatjws.Seconds(value, kind)
		times[string(name)] = unix
		return known && good && old == 0 && unix > 0
	})
	if !ok || seen != len(texts)+len(times) {
		return malformed
	}
	switch unix, life := now.Unix(), int64(cfg.Lifetime/time.Second); {
	case unix >= times["exp"]:
		return expired
	case unix < times["nbf"]:
		return notYetValid
	case texts["iss"] != cfg.Issuer, texts["aud"] != cfg.Audience, texts["scope"] != cfg.Scope,
		times["exp"]-times["nbf"] > life:
		return mismatch
	}
	m.Subject, m.Nonce = texts["sub"], texts["jti"]
	m.Timestamp, m.Expires = times["iat"], times["exp"]
	return nil
}
