package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig"
)

func TestAlertsArriveSigned(t *testing.T) {
	secret := hmacsig.Generate()
	var got []string
	receiver, err := newReceiver(secret, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, string(body))
		w.WriteHeader(http.StatusNoContent)
	}))
	require.NoError(t, err)
	server := httptest.NewServer(receiver)
	t.Cleanup(server.Close)
	now := time.Now()
	for _, signer := range []hmacsig.Secret{hmacsig.Generate(), secret} {
		tower, err := newTower(server.URL, signer)
		require.NoError(t, err)
		tower.Advance(t.Context(), now)
		spray(t.Context(), tower, 30)
		tower.Advance(t.Context(), now.Add(time.Second))
	}
	require.Len(t, got, 1, "only what was signed with the secret")
	require.Contains(t, got[0], `"rule":"password-spraying"`)
}
