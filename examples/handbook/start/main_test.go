package main

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The curl lines of the README, as printed but for the address: each ends in a comment
// with the status and the code of its last answer.
var curl = regexp.MustCompile(`(?m)^((?:curl|for) .*?)\s+# (\d{3}) (\w+)$`)

func TestTheREADMEsCurlLines(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		require.Empty(t, os.Getenv("SALLYPORT_REQUIRE_SERVICES"), "curl is not installed")
		t.Skip("curl is not installed")
	}
	readme, err := os.ReadFile("../../../README.md")
	require.NoError(t, err)
	lines := curl.FindAllStringSubmatch(string(readme), -1)
	require.Len(t, lines, 3)

	handler, err := newHandler()
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	defer server.Close()
	for _, line := range lines {
		command := strings.ReplaceAll(line[1], "http://127.0.0.1:8080", server.URL)
		out, err := exec.CommandContext(t.Context(), "bash", "-c", command).CombinedOutput()
		require.NoError(t, err, "%s", out)
		answers := strings.Split(string(out), "HTTP/1.1 ")
		last := answers[len(answers)-1]
		require.Equal(t, line[2], last[:3], line[0])
		require.Contains(t, last, `"code":"`+line[3]+`"`, line[0])
	}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	handler, err := newHandler()
	require.NoError(t, err)
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/login", nil)
	r.Header.Set("Origin", "https://app.example.com")
	signIn := httptest.NewRecorder()
	handler.ServeHTTP(signIn, r)
	require.Equal(t, 200, signIn.Code)
	cookies := signIn.Result().Cookies()
	require.Len(t, cookies, 1)

	r = httptest.NewRequestWithContext(t.Context(), "GET", "/me", nil)
	r.AddCookie(cookies[0])
	me := httptest.NewRecorder()
	handler.ServeHTTP(me, r)
	require.Equal(t, "Hello, Ada\n", me.Body.String())
}
