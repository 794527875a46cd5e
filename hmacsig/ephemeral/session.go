package ephemeral

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/internal/flatjws"
)

const bearer = "Bearer "

// Session is what a session token says.
type Session struct {
	// Site and Room are what it opens, Subject is for whom: letters, digits, '_',
	// '-', '.' and ':', 1 to 128 of them.
	Site, Room, Subject string
	// Certificate is the SHA-256 of the peer's DER certificate, which is the
	// fingerprint in its SDP: the claim cnf with x5t#S256 (RFC 8705 section 3.1).
	// Whoever steals the token cannot use it without that certificate's key, if
	// the server compares it with the certificate of the DTLS handshake.
	Certificate [sha256.Size]byte
	// ID is the jti, and Expires the end of the token. Issue sets both.
	ID      string
	Expires time.Time
}

// SessionConfig configures both sides of session tokens.
type SessionConfig struct {
	_ [0]func() // keyed literals only

	// Issuer and Audience are the claims iss and aud, compared whole. Characters
	// as in Session. Required.
	Issuer, Audience string
	// Keys verify; the first active one signs. Required.
	Keys hmacsig.Keyring
	// Lifetime of a token, 1 second to 5 minutes, which is the default. A
	// verifier refuses tokens that were made to live longer.
	Lifetime time.Duration
	// Leeway is how far the issuer's clock may be ahead, 0 to 1 minute. Zero: 5
	// seconds. It lengthens no token.
	Leeway time.Duration
	// Place, if set, says for which site and room a request is. A token for
	// another is refused. Nil: the handler takes both from the token.
	//
	//	func(r *http.Request) (site, room string) {
	//		return r.PathValue("site"), r.PathValue("room")
	//	}
	Place func(*http.Request) (site, room string)
	// Replay remembers the jti of tokens that opened a session: each opens one.
	// Nil: this process's memory.
	Replay hmacsig.ReplayStore

	// OnEvent, OnReject and ProblemBase are as in hmacsig.Config. Event.Tenant is
	// the site.
	OnEvent     func(context.Context, sallyport.Event)
	OnReject    func(http.ResponseWriter, *http.Request, *sallyport.Refusal)
	ProblemBase string
}

// NewSessionVerifier makes a verifier of "Authorization: Bearer" tokens. Every
// problem is reported at once. In the Proof, KeyID is the site, Subject the
// subject and Nonce the jti; SessionOf gives the rest.
func NewSessionVerifier(cfg SessionConfig) (*hmacsig.Verifier, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return hmacsig.New(hmacsig.Config{
		Scheme:      sessionScheme(&cfg, nil),
		Keys:        hmacsig.StaticKeys{"": cfg.Keys},
		Replay:      cfg.Replay,
		OnEvent:     cfg.OnEvent,
		OnReject:    cfg.OnReject,
		ProblemBase: cfg.ProblemBase,
	})
}

// SessionOf returns what the token of a request says, if a verifier has accepted
// it: proof is that of hmacsig.FromContext, or of Verifier.Check.
func SessionOf(r *http.Request, proof hmacsig.Proof) (Session, bool) {
	_, payload, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), bearer), ".")
	payload, _, _ = strings.Cut(payload, ".")
	var buf [maxDecoded]byte
	c, ok := readClaims(buf[:], payload)
	// The jti is the verified token's: another token that was put into the header
	// since has another.
	if !ok || proof.Nonce == "" || c.ID != proof.Nonce || c.Subject != proof.Subject {
		return Session{}, false
	}
	return c.Session, true
}

// SessionIssuer makes session tokens. It is safe for concurrent use. The zero
// SessionIssuer and nil issue nothing.
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

// Issue makes a token for a session. ID and Expires are its own to set.
func (s *SessionIssuer) Issue(session Session) (token string, err error) {
	if s == nil || s.cfg.Issuer == "" {
		return "", errNotNew
	}
	list := newList()
	checkText(list, "Session.Site", session.Site)
	checkText(list, "Session.Room", session.Room)
	checkText(list, "Session.Subject", session.Subject)
	if session.Certificate == [sha256.Size]byte{} {
		list.Add("Session.Certificate", "", sallyport.ConfigRequired,
			"binds the token to the peer's certificate")
	}
	if err := list.Err(); err != nil {
		return "", err
	}
	signer, err := newSigner(sessionScheme(&s.cfg, &session), s.cfg.Keys)
	if err != nil {
		return "", err
	}
	r := &http.Request{Header: http.Header{}}
	if err := signer.Sign(r); err != nil {
		return "", err
	}
	return strings.TrimPrefix(r.Header.Get("Authorization"), bearer), nil
}

func (c *SessionConfig) check() error {
	if c.Lifetime == 0 {
		c.Lifetime = defaultLifetime
	}
	if c.Leeway == 0 {
		c.Leeway = defaultLeeway
	}
	list := newList()
	checkText(list, "Issuer", c.Issuer)
	checkText(list, "Audience", c.Audience)
	checkDuration(list, "Lifetime", c.Lifetime, time.Second, maxSession)
	checkDuration(list, "Leeway", c.Leeway, 0, maxLeeway)
	checkKeys(list, c.Keys)
	return list.Err()
}

// sessionScheme is a session token as an hmacsig.Scheme. Session is what is
// signed; nil verifies. Raw is the signed part of the token, header "." payload.
func sessionScheme(cfg *SessionConfig, session *Session) hmacsig.Scheme {
	return hmacsig.Scheme{
		Name:        "session-jwt",
		MaxAge:      maxSession,
		Untimed:     true, // open checks nbf and exp
		IgnoresBody: true,
		Challenge:   "Bearer",
		Done:        used,
		Read: func(r *http.Request, m *hmacsig.Message) error {
			return readSession(cfg, r, m)
		},
		Base: func(dst []byte, _ *http.Request, m *hmacsig.Message) []byte {
			if m.Raw == "" {
				m.Raw = sessionToken(cfg, session, m)
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

// readSession cuts the token. Until it is opened, Subject is the place that the
// request is for.
func readSession(cfg *SessionConfig, r *http.Request, m *hmacsig.Message) error {
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
	if cfg.Place != nil {
		m.Subject = place(cfg.Place(r))
	}
	return nil
}

// place joins a site and a room. Neither has a '/' in a token.
func place(site, room string) string { return site + "/" + room }

// sessionToken writes the signed part. All texts are of characters that JSON
// takes as they are.
func sessionToken(cfg *SessionConfig, s *Session, m *hmacsig.Message) string {
	at := strconv.FormatInt(m.Timestamp, 10)
	end := strconv.FormatInt(m.Timestamp+int64(cfg.Lifetime/time.Second), 10)
	payload := `{"iss":"` + cfg.Issuer + `","aud":"` + cfg.Audience + `","sub":"` + s.Subject +
		`","site":"` + s.Site + `","room":"` + s.Room + `","cnf":{"x5t#S256":"` +
		base64.RawURLEncoding.EncodeToString(s.Certificate[:]) + `"},"iat":` + at +
		`,"nbf":` + at + `,"exp":` + end + `,"jti":"` + m.Nonce + `"}`
	return flatjws.UsualHeader + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
}

// openSession examines the claims once the signature has been verified: first their
// form, then the time, then whether they are for here. The order is that of
// RFC 7519 section 7.2, but that the signature comes before any JSON.
func openSession(cfg *SessionConfig, m *hmacsig.Message, now time.Time) error {
	header, payload, _ := strings.Cut(m.Raw, ".")
	var buf [maxDecoded]byte
	if !flatjws.IsHS256(buf[:], header) {
		return malformed
	}
	c, ok := readClaims(buf[:], payload)
	if !ok {
		return malformed
	}
	switch unix := now.Unix(); {
	case unix >= c.exp: // RFC 7519 section 4.1.4: on or after
		return expired
	case unix < c.nbf-int64(cfg.Leeway/time.Second):
		return notYetValid
	case c.iss != cfg.Issuer, c.aud != cfg.Audience, c.exp-c.nbf > int64(cfg.Lifetime/time.Second):
		return mismatch
	case cfg.Place != nil && m.Subject != place(c.Site, c.Room):
		return mismatch
	}
	m.KeyID, m.Subject, m.Nonce = c.Site, c.Subject, c.ID
	m.Timestamp, m.Expires = c.iat, c.exp
	return nil
}
