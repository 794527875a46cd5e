package envelope_test

import (
	"context"
	"encoding/hex"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/tenancy/envelope"
)

// known is a KEK that wraps nothing: the wrapped key is the key. It checks what the
// package hands it as additional data.
type known struct{ t *testing.T }

func (known) ID() string { return "known" }

func (known) Wrap(context.Context, []byte, []byte) ([]byte, error) { return nil, errDown }

func (k known) Unwrap(_ context.Context, wrapped, aad []byte) ([]byte, error) {
	require.Equal(k.t, "\x19sallyport envelope v1 key\x02s1\x02p1", string(aad))
	return wrapped, nil
}

// TestFormatIsKept opens what a program in another language and with another library has
// sealed from the description of the format alone.
func TestFormatIsKept(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	secretKey := make([]byte, 32)
	for i := range secretKey {
		secretKey[i] = byte(i)
	}
	commit, err := hex.DecodeString("dd1b6d2ccf160aecdf5de8215d296c88f3385cda134896cdef06d96ef3910e78")
	require.NoError(t, err)
	require.NoError(t, store.Add(t.Context(), envelope.Key{
		Owner: owner, Version: 1, Handle: "h", Commit: [32]byte(commit), KEK: "known",
		Wrapped: secretKey, Created: time.Now(),
	}))
	vault, err := envelope.New(envelope.Config{KEK: known{t}, Store: store})
	require.NoError(t, err)

	cell, err := os.ReadFile("testdata/cell.sealed")
	require.NoError(t, err)
	opened, err := vault.Open(t.Context(), nil, place, cell)
	require.NoError(t, err)
	require.Equal(t, secret, opened)

	file, err := os.Open("testdata/file.sealed")
	require.NoError(t, err)
	defer file.Close()
	info, err := file.Stat()
	require.NoError(t, err)
	r, err := vault.OpenFile(t.Context(), file, info.Size(), place)
	require.NoError(t, err)
	plaintext, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, pattern(4100), plaintext)
}
