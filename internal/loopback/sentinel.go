//go:build unix

package loopback

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// RedisSentinel starts a sentinel that watches the master at an address, calls it
// down after half a second without an answer, and alone decides on a failover. It
// returns the sentinel's address.
func RedisSentinel(t testing.TB, name, master string) string {
	t.Helper()
	path, dir := redisServer.find(t), t.TempDir()
	host, port, err := net.SplitHostPort(master)
	if err != nil {
		t.Fatalf("loopback: sentinel: %v", err)
	}
	file := filepath.Join(dir, "sentinel.conf") // it keeps what it knows in it
	s := &Server{t: t, stop: syscall.SIGKILL}
	s.command = func(own int) *exec.Cmd {
		text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\n"+
			"sentinel monitor %s %s %s 1\nsentinel down-after-milliseconds %s 500\n"+
			"sentinel failover-timeout %s 2000\n", own, dir, name, host, port, name, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatalf("loopback: sentinel: %v", err)
		}
		return exec.Command(path, file, "--sentinel") // #nosec G204 -- tests only
	}
	s.start(func() (int, error) { return freePort() })
	return s.Addr
}

// RedisReplica starts a replica of the master at an address.
func RedisReplica(t testing.TB, master string) *Server {
	t.Helper()
	host, port, err := net.SplitHostPort(master)
	if err != nil {
		t.Fatalf("loopback: replica: %v", err)
	}
	if _, err := strconv.Atoi(port); err != nil {
		t.Fatalf("loopback: replica: %v", err)
	}
	return StartRedis(t, "--replicaof", host, port)
}
