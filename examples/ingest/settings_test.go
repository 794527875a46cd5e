package main_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/password"
)

// exit runs the server to its end and returns code and standard error.
func exit(t *testing.T, env ...string) (int, string) {
	t.Helper()
	binary, err := built()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary) // #nosec G204 -- the binary under test
	cmd.Env = append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	err = cmd.Run()
	var exited *exec.ExitError
	if errors.As(err, &exited) {
		return exited.ExitCode(), stderr.String()
	}
	require.NoError(t, err)
	return 0, stderr.String()
}

func TestSettingsProblemsEndWithCode2(t *testing.T) {
	t.Parallel()
	code, text := exit(t, "DATA_DIR="+t.TempDir(), "LISTEN_ADDR=0.0.0.0:0", "FAIL_MODE=maybe", "VITE_KEY=x")
	require.Equal(t, 2, code)
	for _, setting := range []string{
		"ALLOWED_ORIGINS", "SITES_FILE", "USERS_FILE", "QSTASH_CURRENT_SIGNING_KEY", "LISTEN_ADDR", "FAIL_MODE",
	} {
		require.Contains(t, text, setting+": ")
	}
}

// Nothing of a connection URL is repeated: it holds a password.
func TestDatabaseSettingsAreNamedAtOnce(t *testing.T) {
	t.Parallel()
	code, text := exit(t, "DATA_DIR="+t.TempDir(), "DATABASE_URL=postgres://app:hunter2hunter2@db.example/x",
		"MIGRATE_DATABASE_URL=hunter2://")
	require.Equal(t, 2, code)
	for _, part := range []string{
		"\nDATABASE_URL: beyond this machine", "SERVICE_DATABASE_URL: is missing",
		"MIGRATE_DATABASE_URL: want a URL", "SITES_FILE: ",
	} {
		require.Contains(t, text, part)
	}
	require.NotContains(t, text, "hunter2")
}

func TestProductionProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	const site = "0123456789abcdef0123456789abcdef"
	p := start(t, filepath.Join(dir, "data"),
		"ALLOWED_ORIGINS=https://shop.example", "QSTASH_CURRENT_SIGNING_KEY=sig_7kQ2mVx9Lr4TzW8bN3cY",
		"SITES_FILE="+write("sites.json", `[{"id":"`+site+`","name":"Shop","origins":["https://shop.example"],`+
			`"secret":"s3cr3t-s3cr3t-s3cr3t","rate_per_minute":600,"owner":"u1"}]`),
		"USERS_FILE="+write("users.json", `[{"id":"u1","email":"a@b.test","password_hash":"`+
			password.New("correct horse").PHC()+`","totp_secret":"JBSWY3DPEHPK3PXP","role":"admin","sites":["`+site+`"]}]`))
	require.Empty(t, p.DemoURL)
	require.NotContains(t, p.out.String(), "s3cr3t")
	body := `{"s":"` + site + `","u":"https://shop.example/","ec":"interaction","ea":"view","consent_scopes":["analytics"]}`
	res, err := p.post(t.Context(), "/api/sync", "https://shop.example", body)
	require.NoError(t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusAccepted, res.StatusCode, string(text))
	drained(t, p.dir)
	p.stop()
}

// A taken port costs nothing: the demo's password is not lost with it.
func TestATakenPortLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	dir := filepath.Join(t.TempDir(), "data")
	code, text := exit(t, "DATA_DIR="+dir, "LISTEN_ADDR="+listener.Addr().String())
	require.Equal(t, 1, code)
	require.Contains(t, text, "LISTEN_ADDR")
	require.NoDirExists(t, dir)
}

// The credentials can be printed again, with a password that works.
func TestPrintDemo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	binary, err := built()
	require.NoError(t, err)
	print := func() string {
		cmd := exec.Command(binary, "-print-demo", "-data-dir="+dir) // #nosec G204 -- the binary under test
		out, err := cmd.CombinedOutput()
		if err != nil {
			return err.Error() + string(out)
		}
		return string(out)
	}
	require.Contains(t, print(), "start the server once")
	p := start(t, dir)
	p.stop()
	text := print()
	_, rest, found := strings.Cut(text, "  password     ")
	require.True(t, found, text)
	secret, _, _ := strings.Cut(rest, "\n")
	p = start(t, dir)
	res, err := p.post(t.Context(), "/auth/login", "", `{"email":"admin@demo.test","password":"`+secret+`"}`, "Content-Type", "application/json")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Contains(t, text, p.demo().Site.Secret)
	p.stop()
}

// SIGHUP reads the settings again; ones that cannot be served change nothing.
func TestHangupReloadsTheSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	site := func(id, origin string) string {
		return `{"id":"` + id + `","name":"Shop","origins":["` + origin + `"],"secret":"s3cr3t-s3cr3t-s3cr3t","rate_per_minute":600,"owner":"u1"}`
	}
	sites := writeFile(t, dir, "sites.json", "["+site(shopSite, "https://shop.example")+"]")
	p := start(t, filepath.Join(dir, "data"), "DRAIN=0s",
		"ALLOWED_ORIGINS=https://shop.example,https://b.example", "QSTASH_CURRENT_SIGNING_KEY=sig_7kQ2mVx9Lr4TzW8bN3cY",
		"SITES_FILE="+sites, "USERS_FILE="+writeFile(t, dir, "users.json", `[{"id":"u1","email":"a@b.test","password_hash":"`+
			password.New("correct horse").PHC()+`","totp_secret":"JBSWY3DPEHPK3PXP","role":"admin","sites":["`+shopSite+`"]}]`))
	const other = "11111111111111111111111111111111"
	status := func() int {
		body := `{"s":"` + other + `","u":"https://b.example/","ec":"a","ea":"b","consent_scopes":["analytics"]}`
		res, err := p.post(t.Context(), "/api/sync", "https://b.example", body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}
	require.Equal(t, 400, status())
	require.NoError(t, os.WriteFile(sites, []byte("[nonsense"), 0o600))
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGHUP))
	require.Equal(t, 400, status())
	require.NoError(t, os.WriteFile(sites, []byte("["+site(shopSite, "https://shop.example")+","+site(other, "https://b.example")+"]"), 0o600))
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGHUP))
	require.Eventually(t, func() bool { return status() == http.StatusAccepted }, 20*time.Second, 50*time.Millisecond)
	p.stop()
}
