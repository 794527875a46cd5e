package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnEditIsFound(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	receipt, err := record(t.Context(), dir)
	require.NoError(t, err)
	require.NoError(t, verify(dir, receipt))

	path := filepath.Join(dir, "00000000000000000000.log")
	log, err := os.ReadFile(path) // #nosec G304 -- the test's own file
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, bytes.Replace(log, []byte("ada"), []byte("eve"), 1), 0o600))
	require.Error(t, verify(dir, receipt))
}
