//go:build unix

// Package servicetest finds the real programs that tests run against: it starts
// redis-server and finds Chromium. A missing program skips the test, or fails it
// with SALLYPORT_REQUIRE_SERVICES=1 in the environment.
package servicetest

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Chromium returns the path of a Chromium or Chrome binary.
func Chromium(t testing.TB) string {
	t.Helper()
	return find(t, "chromium", "chromium-browser", "google-chrome")
}

func find(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
		// A pattern finds what is not on PATH; the newest version is the last one.
		if found, _ := filepath.Glob(name); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	if os.Getenv("SALLYPORT_REQUIRE_SERVICES") == "1" {
		t.Fatalf("no %s found", names[0])
	}
	t.Skipf("no %s found", names[0])
	return ""
}

// Redis is a redis-server on a free port of this machine, with nothing in it.
type Redis struct {
	Addr string
	Dir  string   // its files
	Env  []string // added to the environment of the next start

	t    testing.TB
	path string
	args []string
	cmd  *exec.Cmd
}

// Durable are the arguments of a Redis that loses nothing that it has answered.
func Durable() []string {
	return []string{"--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"}
}

// StartRedis starts one that ends with the test, with further arguments.
func StartRedis(t testing.TB, args ...string) *Redis {
	t.Helper()
	r := &Redis{
		Addr: freeAddr(t), t: t, path: find(t, "redis-server"), Dir: t.TempDir(), args: args,
	}
	r.start()
	t.Cleanup(r.Kill)
	return r
}

func (r *Redis) start() {
	r.t.Helper()
	_, port, _ := net.SplitHostPort(r.Addr)
	args := append([]string{"--save", "", "--appendonly", "no"}, r.args...)
	args = append(args, "--bind", "127.0.0.1", "--port", port, "--dir", r.Dir, "--daemonize", "no")
	r.cmd = exec.Command(r.path, args...) // #nosec G204 -- tests only; the path is redis-server's
	r.cmd.Env = append(os.Environ(), r.Env...)
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	if err := r.await(20 * time.Second); err != nil {
		r.t.Fatalf("redis-server on port %s: %v", port, err)
	}
}

// await asks until the server answers, as the process that was started.
func (r *Redis) await(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	client := redis.NewClient(&redis.Options{Addr: r.Addr, MaxRetries: -1})
	defer func() { _ = client.Close() }()
	want := "process_id:" + strconv.Itoa(r.cmd.Process.Pid)
	for {
		info, err := client.InfoMap(ctx, "server").Result()
		if err == nil && "process_id:"+info["Server"]["process_id"] == want {
			return nil
		}
		if ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		<-time.After(20 * time.Millisecond)
	}
}

// Pid is the process id of the server.
func (r *Redis) Pid() int { return r.cmd.Process.Pid }

// Kill ends the server as a crash would.
func (r *Redis) Kill() {
	_ = r.cmd.Process.Signal(syscall.SIGKILL)
	_ = r.cmd.Wait()
}

// Pause stops the server in its tracks, so that connections stay and nothing answers.
func (r *Redis) Pause() { _ = r.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (r *Redis) Resume() { _ = r.cmd.Process.Signal(syscall.SIGCONT) }

// Restart starts the server again at the same address, empty unless it keeps a file.
func (r *Redis) Restart() {
	r.t.Helper()
	r.Kill()
	r.start()
}
