package envelope_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/tenancy/envelope"
)

func TestLocalKEK(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kek")
	first, err := envelope.LocalKEK(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	second, err := envelope.LocalKEK(path)
	require.NoError(t, err)
	require.Equal(t, first.ID(), second.ID(), "the same file, the same key")

	wrapped, err := first.Wrap(t.Context(), []byte("key"), []byte("aad"))
	require.NoError(t, err)
	key, err := second.Unwrap(t.Context(), wrapped, []byte("aad"))
	require.NoError(t, err)
	require.Equal(t, "key", string(key))
	_, err = second.Unwrap(t.Context(), wrapped, []byte("other"))
	require.ErrorIs(t, err, envelope.ErrOpen)
	for i := range wrapped {
		_, err = second.Unwrap(t.Context(), wrapped[:i], []byte("aad"))
		require.ErrorIs(t, err, envelope.ErrOpen)
	}

	require.NoError(t, os.Chmod(path, 0o640))
	_, err = envelope.LocalKEK(path)
	require.ErrorContains(t, err, "open to others")
	for _, text := range []string{"", "AAAA", "!", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="} {
		bad := filepath.Join(t.TempDir(), "kek")
		require.NoError(t, os.WriteFile(bad, []byte(text), 0o600))
		_, err = envelope.LocalKEK(bad)
		require.ErrorContains(t, err, "does not hold 32 bytes")
	}
	_, err = envelope.LocalKEK(filepath.Join(t.TempDir(), "none", "kek"))
	require.Error(t, err)
}
