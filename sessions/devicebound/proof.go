package devicebound

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// A proof is a JWT (https://w3c.github.io/webappsec-dbsc/#format-jwt):
//
//	{"typ":"dbsc+jwt","alg":"ES256","jwk":{...}} . {"jti":"the challenge"} . signature
//
// The key is there at registration only; later ones are checked with that key.
const (
	maxProof   = 8 << 10 // an RSA key of 8192 bits fits
	minRSABits = 2048
	maxRSABits = 8192
)

var (
	errMalformed = errors.New("devicebound: malformed proof")
	errAlgorithm = errors.New("devicebound: the proof's algorithm is not that of its key")
	errKey       = errors.New("devicebound: unsuitable key")
	errSignature = errors.New("devicebound: wrong signature")
)

type header struct {
	Type      string          `json:"typ"`
	Algorithm string          `json:"alg"`
	Key       json.RawMessage `json:"jwk"`
	Critical  json.RawMessage `json:"crit"` // none is known here, so none is accepted
}

type claims struct {
	Challenge     string `json:"jti"`
	Authorization string `json:"authorization"`
}

// proof is one that was read, and not yet verified.
type proof struct {
	header    header
	claims    claims
	signed    string
	signature []byte
}

// parse reads a proof and nothing else: one spelling of each part.
func parse(token string) (*proof, error) {
	if len(token) > maxProof {
		return nil, errMalformed
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errMalformed
	}
	head, body, mac := parts[0], parts[1], parts[2]
	p := &proof{signed: head + "." + body}
	for part, into := range map[string]any{head: &p.header, body: &p.claims} {
		text, err := decode(part)
		if err != nil {
			return nil, errMalformed
		}
		if err := json.Unmarshal(text, into); err != nil {
			return nil, errMalformed
		}
	}
	var err error
	if p.signature, err = decode(mac); err != nil {
		return nil, errMalformed
	}
	if p.header.Type != "dbsc+jwt" || p.header.Critical != nil || p.claims.Challenge == "" {
		return nil, errMalformed
	}
	return p, nil
}

func decode(part string) ([]byte, error) {
	if strings.ContainsAny(part, "\r\n") { // which encoding/base64 skips
		return nil, errMalformed
	}
	return base64.RawURLEncoding.Strict().DecodeString(part)
}

// jwk is a public key (RFC 7517, RFC 7518 section 6).
type jwk struct {
	Type     string `json:"kty"`
	Curve    string `json:"crv"`
	X        string `json:"x"`
	Y        string `json:"y"`
	Modulus  string `json:"n"`
	Exponent string `json:"e"`
	Private  string `json:"d"`
}

// key returns the key that a registration brings.
func (p *proof) key() (crypto.PublicKey, error) {
	var k jwk
	if p.header.Key == nil || json.Unmarshal(p.header.Key, &k) != nil {
		return nil, errKey
	}
	if k.Private != "" {
		return nil, fmt.Errorf("%w: it is private", errKey)
	}
	switch k.Type {
	case "EC":
		return k.ec()
	case "RSA":
		return k.rsa()
	}
	return nil, fmt.Errorf("%w: its type is neither EC nor RSA", errKey)
}

func (k *jwk) ec() (crypto.PublicKey, error) {
	x, errX := decode(k.X)
	y, errY := decode(k.Y)
	if k.Curve != "P-256" || errX != nil || errY != nil || len(x) != 32 || len(y) != 32 {
		return nil, fmt.Errorf("%w: want a point of P-256", errKey)
	}
	point := append(append([]byte{4}, x...), y...)
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point) // on the curve
	if err != nil {
		return nil, fmt.Errorf("%w: not on the curve", errKey)
	}
	return key, nil
}

func (k *jwk) rsa() (crypto.PublicKey, error) {
	n, errN := decode(k.Modulus)
	e, errE := decode(k.Exponent)
	if errN != nil || errE != nil || len(e) == 0 || len(e) > 4 {
		return nil, fmt.Errorf("%w: want an RSA key", errKey)
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
		return nil, fmt.Errorf("%w: want an RSA key of 2048 to 8192 bits", errKey)
	}
	if key.E < 65537 || key.E%2 == 0 || key.N.Bit(0) == 0 {
		return nil, fmt.Errorf("%w: want an odd exponent from 65537, and an odd modulus", errKey)
	}
	return key, nil
}

// verify checks the signature. The algorithm is the key's; what the proof says of it
// must agree, so that "none" or another one cannot be chosen.
func (p *proof) verify(key crypto.PublicKey) error {
	sum := sha256.Sum256([]byte(p.signed))
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		if p.header.Algorithm != "ES256" {
			return errAlgorithm
		}
		if len(p.signature) != 64 {
			return errSignature
		}
		r, s := new(big.Int).SetBytes(p.signature[:32]), new(big.Int).SetBytes(p.signature[32:])
		if !ecdsa.Verify(key, sum[:], r, s) {
			return errSignature
		}
		return nil
	case *rsa.PublicKey:
		if p.header.Algorithm != "RS256" {
			return errAlgorithm
		}
		if rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], p.signature) != nil {
			return errSignature
		}
		return nil
	}
	return errKey
}

// register verifies the proof of a registration, and returns its key for storing.
func (p *proof) register() ([]byte, error) {
	key, err := p.key()
	if err != nil {
		return nil, err
	}
	if err := p.verify(key); err != nil {
		return nil, err
	}
	return x509.MarshalPKIXPublicKey(key)
}

// refresh verifies a later proof with the key that was registered. A proof that
// brings a key of its own is none.
func (p *proof) refresh(stored []byte) error {
	if p.header.Key != nil && !bytes.Equal(p.header.Key, []byte("null")) {
		return errMalformed
	}
	key, err := x509.ParsePKIXPublicKey(stored)
	if err != nil {
		return errKey
	}
	return p.verify(key)
}
