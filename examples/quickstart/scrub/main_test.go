package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNothingPersonalIsLogged(t *testing.T) {
	var out bytes.Buffer
	logger, err := newLogger(&out)
	require.NoError(t, err)
	logger.Info("ada@example.com", "authorization", "Bearer 7f9c2ba4e88f827d616045507605853e",
		"note", "paid with 5425 2334 3010 9903")
	for _, secret := range []string{"ada@", "7f9c2ba4", "3010 9903"} {
		require.NotContains(t, out.String(), secret)
	}
	require.Contains(t, out.String(), "[email]")
}
