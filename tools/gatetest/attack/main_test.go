package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/cors"
)

// orders is a service with one gate and, unless sound, one route that has forgotten it.
func orders(t *testing.T, sound bool) string {
	t.Helper()
	gate, err := cors.New(cors.Config{OwnOrigins: []string{"https://api.example.com"}})
	require.NoError(t, err)
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
	})
	mux := http.NewServeMux()
	mux.Handle("POST /orders", gate.Wrap(ok))
	if sound {
		mux.Handle("POST /pay", gate.Wrap(ok))
	} else {
		mux.Handle("POST /pay", ok)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func attacked(t *testing.T, text string) (code int, stdout, stderr string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "routes.json")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	var out, errs bytes.Buffer
	code = run([]string{file}, &out, &errs)
	return code, out.String(), errs.String()
}

func TestARunningServerIsAttacked(t *testing.T) {
	t.Parallel()
	const routes = `{"target": %q, "own": "https://api.example.com",
		"routes": [{"pattern": "POST /orders", "public": true}, {"pattern": "POST /pay", "public": true}]}`
	code, out, errs := attacked(t, fmt.Sprintf(routes, orders(t, true)))
	require.Equal(t, 0, code, out+errs)
	require.Contains(t, out, "2 routes, 0 findings")

	code, out, errs = attacked(t, fmt.Sprintf(routes, orders(t, false)))
	require.Equal(t, 1, code, out+errs)
	require.Contains(t, out, "POST /pay: cors")
	require.NotContains(t, out, "POST /orders")
}

// TestNobodyElseIsAttacked: what is not on this machine beyond doubt is refused before a
// request is made.
func TestNobodyElseIsAttacked(t *testing.T) {
	t.Parallel()
	for _, target := range []string{
		"", "127.0.0.1:8080", "http://localhost:8080", "http://example.com", "http://192.168.0.1", "http://10.0.0.1",
		"http://0.0.0.0:80", "http://[::]:80", "http://127.0.0.1.example.com", "http://127.0.0.1@example.com",
		"ftp://127.0.0.1", "http://[::ffff:192.0.2.1]/",
	} {
		code, _, errs := attacked(t, fmt.Sprintf(`{"target": %q, "routes": [{"pattern": "GET /", "public": true}]}`, target))
		require.Equal(t, 2, code, target)
		require.Contains(t, errs, "target", target)
	}
}

func TestWhatCannotRunSaysWhy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{`: "EOF", `{"targets": ""}`: "unknown field",
		`{"target": "http://127.0.0.1:1", "users": [{}, {}, {}]}`: "two at most",
		`{"target": "http://127.0.0.1:1", "routes": []}`:          "gatetest",
	} {
		code, out, errs := attacked(t, text)
		require.Equal(t, 2, code, text+out)
		require.Contains(t, errs, want)
	}
	var errs bytes.Buffer
	require.Equal(t, 2, run(nil, io.Discard, &errs))
	require.Equal(t, 2, run([]string{"/nowhere/routes.json"}, io.Discard, &errs))
}
