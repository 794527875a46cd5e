package envelope_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opsmantik/sallyport/tenancy/envelope"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "envelope")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	kek, err := envelope.LocalKEK(filepath.Join(dir, "kek")) // in production: a KMS
	if err != nil {
		panic(err)
	}
	keys, err := envelope.NewMemory(envelope.MemoryConfig{})
	if err != nil {
		panic(err)
	}
	vault, err := envelope.New(envelope.Config{KEK: kek, Store: keys})
	if err != nil {
		panic(err)
	}
	at := envelope.Place{
		Site: "shop", Subject: "ada", Table: "calls", Column: "transcript", Row: "7",
	}
	sealed, err := vault.Seal(ctx, nil, at, []byte("hello"))
	if err != nil {
		panic(err)
	}
	opened, err := vault.Open(ctx, nil, at, sealed)
	fmt.Println(string(opened), err)

	elsewhere := at
	elsewhere.Row = "8"
	_, err = vault.Open(ctx, nil, elsewhere, sealed)
	fmt.Println(err)

	if err := vault.Shred(ctx, envelope.Owner{Site: "shop", Subject: "ada"}); err != nil {
		panic(err)
	}
	_, err = vault.Open(ctx, nil, at, sealed)
	fmt.Println(errors.Is(err, envelope.ErrShredded))
	// Output:
	// hello <nil>
	// envelope: it does not open
	// true
}

// A file that was not closed has no last chunk, and does not open.
func ExampleVault_SealFile_incorrect() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "envelope")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	kek, err := envelope.LocalKEK(filepath.Join(dir, "kek"))
	if err != nil {
		panic(err)
	}
	keys, err := envelope.NewMemory(envelope.MemoryConfig{})
	if err != nil {
		panic(err)
	}
	vault, err := envelope.New(envelope.Config{KEK: kek, Store: keys})
	if err != nil {
		panic(err)
	}
	at := envelope.Place{Site: "shop", Table: "calls", Column: "audio", Row: "7"}
	var file bytes.Buffer
	w, err := vault.SealFile(ctx, &file, at)
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(w, "audio")
	// wrong: no w.Close()
	_, err = vault.OpenFile(ctx, bytes.NewReader(file.Bytes()), int64(file.Len()), at)
	fmt.Println(err)
	// Output:
	// envelope: it does not open
}

// kmsClient is the part of AWS KMS that a KEK needs: Encrypt and Decrypt with an
// encryption context, which is a map of text.
type kmsClient interface {
	Encrypt(ctx context.Context, keyID string, plaintext []byte,
		encryptionContext map[string]string) (ciphertext []byte, err error)
	Decrypt(ctx context.Context, keyID string, ciphertext []byte,
		encryptionContext map[string]string) (plaintext []byte, err error)
}

// awsKEK is the shape for AWS KMS. The additional data goes into the encryption context,
// in base64 because it is not text.
type awsKEK struct {
	client kmsClient
	arn    string
}

func (k awsKEK) ID() string { return k.arn }

func (k awsKEK) Wrap(ctx context.Context, key, aad []byte) ([]byte, error) {
	return k.client.Encrypt(ctx, k.arn, key, encryptionContext(aad))
}

func (k awsKEK) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	return k.client.Decrypt(ctx, k.arn, wrapped, encryptionContext(aad))
}

func encryptionContext(aad []byte) map[string]string {
	return map[string]string{"sallyport": base64.StdEncoding.EncodeToString(aad)}
}

// gcpClient is the part of Google Cloud KMS: additional authenticated data of at most 64
// KiB for software keys and 8 KiB for hardware ones. Ours is the owner's name and some 30
// bytes.
type gcpClient interface {
	Encrypt(ctx context.Context, name string, plaintext, aad []byte) (ciphertext []byte, err error)
	Decrypt(ctx context.Context, name string, ciphertext, aad []byte) (plaintext []byte, err error)
}

// gcpKEK is the shape for Google Cloud KMS.
type gcpKEK struct {
	client gcpClient
	name   string // projects/P/locations/L/keyRings/R/cryptoKeys/K
}

func (k gcpKEK) ID() string { return k.name }

func (k gcpKEK) Wrap(ctx context.Context, key, aad []byte) ([]byte, error) {
	return k.client.Encrypt(ctx, k.name, key, aad)
}

func (k gcpKEK) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	return k.client.Decrypt(ctx, k.name, wrapped, aad)
}

// vaultClient is the part of Vault's API: a write to a path, with and for JSON.
type vaultClient interface {
	Write(ctx context.Context, path string, data map[string]any) (map[string]any, error)
}

// transitKEK is the shape for Vault's transit engine with a key of type aes256-gcm96:
// everything is base64, and associated_data has the additional data.
type transitKEK struct {
	client vaultClient
	key    string
}

func (k transitKEK) ID() string { return "transit:" + k.key }

func (k transitKEK) Wrap(ctx context.Context, key, aad []byte) ([]byte, error) {
	answer, err := k.client.Write(ctx, "transit/encrypt/"+k.key, map[string]any{
		"plaintext":       base64.StdEncoding.EncodeToString(key),
		"associated_data": base64.StdEncoding.EncodeToString(aad),
	})
	if err != nil {
		return nil, err
	}
	text, ok := answer["ciphertext"].(string)
	if !ok {
		return nil, errors.New("transit: no ciphertext")
	}
	return []byte(text), nil
}

func (k transitKEK) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	answer, err := k.client.Write(ctx, "transit/decrypt/"+k.key, map[string]any{
		"ciphertext":      string(wrapped),
		"associated_data": base64.StdEncoding.EncodeToString(aad),
	})
	if err != nil {
		return nil, err
	}
	text, ok := answer["plaintext"].(string)
	if !ok {
		return nil, errors.New("transit: no plaintext")
	}
	return base64.StdEncoding.DecodeString(text)
}

// The three shapes of a cloud's KEK.
func Example_cloudKEKs() {
	for _, kek := range []envelope.KEK{
		awsKEK{arn: "arn:aws:kms:eu-central-1:1:key/1"},
		gcpKEK{name: "projects/p/locations/l/keyRings/r/cryptoKeys/k"},
		transitKEK{key: "sallyport"},
	} {
		fmt.Println(kek.ID())
	}
	// Output:
	// arn:aws:kms:eu-central-1:1:key/1
	// projects/p/locations/l/keyRings/r/cryptoKeys/k
	// transit:sallyport
}
