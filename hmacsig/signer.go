package hmacsig

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
)

// SignerConfig configures a Signer. NewSigner copies it.
type SignerConfig struct {
	_ [0]func()

	// Scheme says what is signed and where it goes. Required, with Write.
	Scheme Scheme
	// KeyID says whose key it is: one that the scheme's verifiers accept. ""
	// where the scheme has none.
	KeyID string
	// Secret signs. Required.
	Secret Secret
	// MaxBodyBytes is the largest body that Sign reads, default 1 MiB,
	// at most 1 TiB.
	MaxBodyBytes int64
}

// Signer signs requests. It is immutable and safe for concurrent use. The zero
// Signer and nil sign nothing: Sign returns an error.
type Signer struct {
	cfg SignerConfig
}

// NewSigner makes a Signer. Every problem is reported at once.
func NewSigner(cfg SignerConfig) (*Signer, error) {
	list := configerr.For(gateName)
	if cfg.Scheme.Name == "" || cfg.Scheme.Base == nil || cfg.Scheme.Write == nil {
		list.Add("Scheme", cfg.Scheme.Name, sallyport.ConfigRequired,
			"needs Name, Base and Write to sign")
	}
	if cfg.Secret.IsZero() {
		list.Add("Secret", "", sallyport.ConfigRequired, "is what signs")
	}
	if problem := cfg.Scheme.misfit(cfg.Secret); problem != "" {
		list.Add("Secret", "", sallyport.ConfigConflict, problem)
	}
	cfg.checkKeyID(list)
	checkBodyLimit(list, cfg.MaxBodyBytes)
	if err := list.Err(); err != nil {
		return nil, err
	}
	if cfg.MaxBodyBytes == 0 {
		cfg.MaxBodyBytes = defaultBody
	}
	return &Signer{cfg: cfg}, nil
}

// checkKeyID refuses an id that no verifier of the scheme would accept.
func (cfg *SignerConfig) checkKeyID(list *configerr.List) {
	shown := cfg.KeyID
	if len(shown) > 32 {
		shown = shown[:32] + "..."
	}
	switch {
	case len(cfg.KeyID) > maxKeyID:
		list.Add("KeyID", shown, sallyport.ConfigOutOfRange, "is longer than 256 bytes")
	case cfg.Scheme.KeyID == nil && cfg.KeyID != "":
		list.Add("KeyID", shown, sallyport.ConfigConflict,
			"is sent nowhere: the scheme has no key ids")
	case cfg.Scheme.KeyID != nil && !cfg.Scheme.KeyID(cfg.KeyID):
		list.Add("KeyID", shown, sallyport.ConfigMalformed,
			"is no key id that the scheme's verifiers accept")
	}
}

// Sign reads r's body, signs the request as of now and sets its signature
// headers, Body, GetBody and ContentLength. Each call makes a fresh nonce and
// timestamp.
func (s *Signer) Sign(r *http.Request) error { return s.SignAt(r, time.Now()) }

// SignAt is Sign as of another moment: for tests, and for messages whose
// timestamp is set elsewhere.
func (s *Signer) SignAt(r *http.Request, at time.Time) error {
	if s == nil || s.cfg.Secret.IsZero() {
		return errNoSigner
	}
	content, err := s.takeBody(r)
	if err != nil {
		return err
	}
	if r.Header == nil {
		r.Header = make(http.Header)
	}
	m := &Message{KeyID: s.cfg.KeyID, Timestamp: at.Unix(), Nonce: newNonce()}
	m.Digest = sha256.Sum256(content)
	signed := s.cfg.Scheme.Base(nil, r, m)
	if s.cfg.Scheme.signsBody() {
		signed = append(signed, content...)
		if s.cfg.Scheme.Tail != nil {
			signed = s.cfg.Scheme.Tail(signed, r, m)
		}
	}
	s.cfg.Scheme.Write(r, m, s.cfg.Secret.key().mac(nil, signed))
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
