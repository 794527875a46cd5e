package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/hmacsigtest"
)

func TestRulesBehindTheSignature(t *testing.T) {
	t.Parallel()
	secret := hmacsig.Generate()
	handler, err := newHandler(secret)
	require.NoError(t, err)
	forge := hmacsigtest.New(t, hmacsig.GitHub(), "", secret)
	const harmless, injection = `{"name":"Ada"}`, `{"name":"1' OR '1'='1' --"}`
	rows := []struct {
		name    string
		request *http.Request
		want    int
	}{
		{"signed", forge.Valid("POST", "/", harmless), 200},
		{"signed injection", forge.Valid("POST", "/", injection), 403},
		{"unsigned", forge.Unsigned("POST", "/", harmless), 401},
		{"unsigned injection: the rules do not run", forge.Unsigned("POST", "/", injection), 401},
	}
	for _, row := range rows {
		row.request.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, row.request)
		require.Equal(t, row.want, w.Code, row.name)
	}
}
