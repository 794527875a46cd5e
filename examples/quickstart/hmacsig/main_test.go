package main

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig"
)

func TestOnlyTheSecretsHolderGetsThrough(t *testing.T) {
	secret := hmacsig.Generate()
	handler, err := newHandler(secret)
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	for want, with := range map[string]hmacsig.Secret{"200 OK": secret, "401 Unauthorized": hmacsig.Generate()} {
		status, err := send(server.URL, with)
		require.NoError(t, err)
		require.Equal(t, want, status)
	}
}
