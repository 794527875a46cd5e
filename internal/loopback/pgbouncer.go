//go:build unix

package loopback

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

var pgbouncer = binary{
	names: []string{"pgbouncer"}, glob: "/usr/sbin/pgbouncer", pkg: "pgbouncer",
}

// PgBouncer starts a pgbouncer in front of the Postgres of dsn, in transaction mode
// unless a setting such as "pool_mode=statement" says otherwise, and returns it with a
// DSN that leads through it. Users lists who may log in, without a password.
func PgBouncer(t testing.TB, dsn string, users []string, settings ...string) *Server {
	t.Helper()
	path := pgbouncer.find(t)
	target, err := url.Parse(dsn)
	if err != nil {
		t.Fatalf("loopback: %v", err)
	}
	attr, err := unprivileged() // it refuses root, as Postgres does
	if err != nil {
		t.Fatalf("loopback: %v", err)
	}
	dir := postgresDir(t, attr)
	var list strings.Builder
	for _, user := range users {
		fmt.Fprintf(&list, "%q \"\"\n", user)
	}
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		// #nosec G306 -- pgbouncer, which is another user, reads it
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatalf("loopback: %v", err)
		}
		return file
	}
	auth := write("users.txt", list.String())
	s := &Server{t: t, stop: syscall.SIGTERM}
	s.command = func(port int) *exec.Cmd {
		text := fmt.Sprintf("[databases]\n* = host=%s port=%s\n[pgbouncer]\nlisten_addr=127.0.0.1\n"+
			"listen_port=%d\nunix_socket_dir=\nauth_type=trust\nauth_file=%s\npool_mode=transaction\n"+
			"ignore_startup_parameters=extra_float_digits\n%s\n",
			target.Hostname(), target.Port(), port, auth, strings.Join(settings, "\n"))
		cmd := exec.Command(path, write("pgbouncer.ini", text)) // #nosec G204 -- tests only
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: attr}
		return cmd
	}
	s.start(func() (int, error) { return freePort() })
	target.Host = s.Addr
	s.DSN = target.String()
	return s
}
