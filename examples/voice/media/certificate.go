package media

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
)

// minRSA is the shortest RSA key that a peer may have (NIST SP 800-131A revision 2).
const minRSA = 2048

var (
	errOtherCertificate = errors.New("media: not the certificate of the token")
	errWeakKey          = errors.New("media: a weak key")
)

// check holds the certificate of a handshake against the hash in the token.
func check(der []byte, want [sha256.Size]byte) error {
	got := sha256.Sum256(der)
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return errOtherCertificate
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("%w: %w", errWeakKey, err)
	}
	switch key := certificate.PublicKey.(type) {
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() || key.Curve == elliptic.P384() {
			return nil
		}
	case *rsa.PublicKey:
		if key.N.BitLen() >= minRSA {
			return nil
		}
	}
	return fmt.Errorf("%w: %s", errWeakKey, certificate.PublicKeyAlgorithm)
}

// newKey makes the key of the server's own certificate.
func newKey() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}
