package hmacsig

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"time"
)

// SignerConfig configures a Signer. NewSigner copies it.
type SignerConfig struct {
	_ [0]func()

	// Scheme says what is signed and where it goes. Required, with Write.
	Scheme Scheme
	// KeyID says whose key it is; "" where the scheme has none.
	KeyID string
	// Secret signs. Required.
	Secret Secret
	// MaxBodyBytes is the largest body that Sign reads, default 1 MiB,
	// at most 1 TiB.
	MaxBodyBytes int64
}

// Signer signs requests. It is immutable and safe for concurrent use.
type Signer struct {
	cfg SignerConfig
}

// NewSigner makes a Signer. Every problem is reported at once.
func NewSigner(cfg SignerConfig) (*Signer, error) {
	var errs []error
	if cfg.Scheme.Name == "" || cfg.Scheme.Base == nil || cfg.Scheme.Write == nil {
		errs = append(errs, &ConfigError{
			Field: "Scheme", Value: cfg.Scheme.Name, Reason: "needs Name, Base and Write to sign",
		})
	}
	if cfg.Secret.IsZero() {
		errs = append(errs, &ConfigError{Field: "Secret", Reason: "is required"})
	}
	if len(cfg.KeyID) > maxKeyID {
		errs = append(errs, &ConfigError{
			Field: "KeyID", Value: cfg.KeyID[:16] + "...", Reason: "is longer than 256 bytes",
		})
	}
	if cfg.MaxBodyBytes < 0 || cfg.MaxBodyBytes > maxBody {
		errs = append(errs, &ConfigError{
			Field: "MaxBodyBytes", Reason: "is not between 0 and 1 TiB",
		})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if cfg.MaxBodyBytes == 0 {
		cfg.MaxBodyBytes = defaultBody
	}
	return &Signer{cfg: cfg}, nil
}

// Sign reads r's body, signs the request as of now and sets its signature
// headers, Body, GetBody and ContentLength. Each call makes a fresh nonce and
// timestamp.
func (s *Signer) Sign(r *http.Request) error { return s.SignAt(r, time.Now()) }

// SignAt is Sign as of another moment: for tests, and for messages whose
// timestamp is set elsewhere.
func (s *Signer) SignAt(r *http.Request, at time.Time) error {
	text, err := s.takeBody(r)
	if err != nil {
		return err
	}
	if r.Header == nil {
		r.Header = make(http.Header)
	}
	m := &Message{KeyID: s.cfg.KeyID, Timestamp: at.Unix(), Nonce: newNonce()}
	m.Digest = sha256.Sum256(text)
	signed := &content{buf: &text, full: true}
	if s.cfg.Scheme.Coverage != SignsBody {
		signed = nil
	}
	base := s.cfg.Scheme.Base(nil, r, m)
	s.cfg.Scheme.Write(r, m, s.cfg.Secret.key().mac(nil, base, signed))
	return nil
}

// takeBody reads the body and puts back one that can be read again.
func (s *Signer) takeBody(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	content, err := readBody(nil, r.Body, r.ContentLength, s.cfg.MaxBodyBytes)
	_ = r.Body.Close()
	if err != nil {
		return nil, err
	}
	r.ContentLength = int64(len(content))
	r.GetBody = func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}
	r.Body, _ = r.GetBody()
	return content, nil
}

// newNonce is 128 random bits in base64url.
func newNonce() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails: it crashes the program instead
	return base64.RawURLEncoding.EncodeToString(raw[:])
}
