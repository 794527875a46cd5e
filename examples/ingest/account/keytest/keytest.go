// Package keytest is a security key of software, for tests. It does what browser and
// key do together, and what neither would do when it is told to.
package keytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// The flags of authenticator data (WebAuthn section 6.1).
const (
	UserPresent    = 0x01
	UserVerified   = 0x04
	BackupEligible = 0x08
	BackupState    = 0x10
	attested       = 0x40
)

// Key is a security key that was plugged into a browser. Its fields may be changed
// between two uses.
type Key struct {
	ID      []byte
	Origin  string // of the page that asks
	RPID    string // for which the key believes to sign
	Flags   byte
	Counter uint32 // of the last use
	Step    uint32 // how far the counter goes on with each use
	Type    string // what browsers call the ceremony, if not by its name

	private *ecdsa.PrivateKey
}

// New returns a key for the pages of an origin.
func New(t testing.TB, origin string) *Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	u, err := url.Parse(origin)
	require.NoError(t, err)
	id := make([]byte, 32)
	_, _ = rand.Read(id)
	return &Key{
		ID: id, Origin: origin, RPID: u.Hostname(), Flags: UserPresent | UserVerified, Step: 1,
		private: private,
	}
}

// Create answers options with a new credential, as navigator.credentials.create
// does, without attestation.
func (k *Key) Create(t testing.TB, options string) string {
	t.Helper()
	client := k.clientData(t, options, "webauthn.create")
	data := k.authenticatorData(attested)
	data = append(data, make([]byte, 16)...) // the model: none
	data = append(append(size(data, k.ID), k.ID...), k.publicKey(t)...)
	object := size([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59"), data)
	return k.credential(t, map[string]any{
		"clientDataJSON": encode(client), "attestationObject": encode(append(object, data...)),
		"transports": []string{"usb"},
	})
}

// Get answers options with a signature, as navigator.credentials.get does.
func (k *Key) Get(t testing.TB, options string) string {
	t.Helper()
	client := k.clientData(t, options, "webauthn.get")
	data := k.authenticatorData(0)
	hash := sha256.Sum256(client)
	sum := sha256.Sum256(append(data[:len(data):len(data)], hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, k.private, sum[:])
	require.NoError(t, err)
	return k.credential(t, map[string]any{
		"clientDataJSON": encode(client), "authenticatorData": encode(data),
		"signature": encode(signature),
	})
}

// size appends the length of part to b.
func size(b, part []byte) []byte {
	return binary.BigEndian.AppendUint16(b, uint16(len(part))) // #nosec G115 -- 1 KiB in tests
}

func (k *Key) credential(t testing.TB, response map[string]any) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"id": encode(k.ID), "rawId": encode(k.ID), "type": "public-key",
		"authenticatorAttachment": "cross-platform", "clientExtensionResults": map[string]any{},
		"response": response,
	})
	require.NoError(t, err)
	return string(text)
}

func (k *Key) clientData(t testing.TB, options, ceremony string) []byte {
	t.Helper()
	var asked struct {
		PublicKey struct{ Challenge string } `json:"publicKey"`
	}
	require.NoError(t, json.Unmarshal([]byte(options), &asked), options)
	require.NotEmpty(t, asked.PublicKey.Challenge, options)
	if k.Type != "" {
		ceremony = k.Type
	}
	text, err := json.Marshal(map[string]any{
		"type": ceremony, "challenge": asked.PublicKey.Challenge, "origin": k.Origin,
		"crossOrigin": false,
	})
	require.NoError(t, err)
	return text
}

func (k *Key) authenticatorData(more byte) []byte {
	k.Counter += k.Step
	hash := sha256.Sum256([]byte(k.RPID))
	return binary.BigEndian.AppendUint32(append(hash[:], k.Flags|more), k.Counter)
}

// publicKey is the key in COSE's form (RFC 9053 section 7.1.1).
func (k *Key) publicKey(t testing.TB) []byte {
	t.Helper()
	point, err := k.private.PublicKey.Bytes()
	require.NoError(t, err)
	cose := append([]byte("\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20"), point[1:33]...)
	return append(append(cose, "\x22\x58\x20"...), point[33:]...)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
