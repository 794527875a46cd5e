package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnEditIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	head, err := record(t.Context(), path)
	require.NoError(t, err)
	require.NoError(t, verify(path, head))

	log, err := os.ReadFile(path) // #nosec G304 -- the test's own file
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, bytes.Replace(log, []byte("ada"), []byte("eve"), 1), 0o600))
	require.Error(t, verify(path, head))
}
