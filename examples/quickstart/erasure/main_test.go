package main

import (
	"io/fs"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnErasedPersonIsReadNowhere(t *testing.T) {
	dir := t.TempDir()
	const phone = "+31201234567"
	before, after, err := exports(t.Context(), dir)
	require.NoError(t, err)
	require.Contains(t, before, phone)
	require.NotContains(t, after, phone)
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(os.DirFS(dir), path)
		require.NotContains(t, string(content), phone, path)
		return err
	}))
}
