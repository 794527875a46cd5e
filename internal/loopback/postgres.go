//go:build unix

package loopback

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Postgres starts a fresh cluster and returns a DSN for its superuser. The
// database is empty, UTF-8, in the C locale.
func Postgres(t testing.TB) string {
	t.Helper()
	return StartPostgres(t).DSN
}

// StartPostgres is for tests that kill or restart the server. Each setting has
// the form name=value, such as "max_connections=20". The default fsync=off
// survives Kill, though not a crash of the machine.
func StartPostgres(t testing.TB, settings ...string) *Server {
	t.Helper()
	// Debian puts the two side by side, outside PATH.
	path, err := filepath.EvalSymlinks(initdb.find(t))
	if err != nil {
		t.Fatalf("loopback: %v", err)
	}
	attr, err := unprivileged()
	if err != nil {
		t.Fatalf("loopback: %v", err)
	}
	dir := postgresDir(t, attr)
	run := func(path string, args ...string) *exec.Cmd {
		cmd := exec.Command(path, args...) // #nosec G204 -- tests only; path is Postgres' own
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: attr}
		return cmd
	}
	data := filepath.Join(dir, "data")
	var out bytes.Buffer
	create := run(path, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
		"--no-locale", "--no-sync")
	create.Stdout, create.Stderr = &out, &out
	if err := create.Run(); err != nil {
		t.Fatalf("loopback: initdb: %v\n%s", err, &out)
	}

	s := &Server{t: t, stop: syscall.SIGQUIT}
	s.command = func(port int) *exec.Cmd {
		args := []string{"-D", data, "-c", "fsync=off"}
		for _, setting := range settings {
			args = append(args, "-c", setting)
		}
		args = append(args, "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-k", dir,
			"-c", "logging_collector=off")
		return run(filepath.Join(filepath.Dir(path), "postgres"), args...)
	}
	s.start(func() (int, error) { return freePort() })
	s.DSN = fmt.Sprintf("postgres://postgres@%s/postgres?sslmode=disable", s.Addr)
	return s
}

// postgresDir makes a folder that the server's user can enter. It is not
// t.TempDir: that lies in a folder only root can enter, and under a name that
// may exceed the 107 bytes of a Unix socket's path.
func postgresDir(t testing.TB, owner *syscall.Credential) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "loopback-pg-")
	if err != nil {
		t.Fatalf("loopback: %v", err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("loopback: %v", err)
		}
	})
	if owner != nil {
		if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
			t.Fatalf("loopback: %v", err)
		}
	}
	return dir
}

// unprivileged returns the user to run Postgres as, which refuses root; nil
// means the current one.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, fmt.Errorf("postgres refuses to run as root, and there is no user " +
		"postgres or nobody to run it as")
}
