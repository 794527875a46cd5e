//go:build unix

package servicetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Postgres is a server with a cluster of its own, or a pgbouncer before one.
type Postgres struct {
	Addr string

	t       testing.TB
	command func() *exec.Cmd
	cmd     *exec.Cmd
	exited  chan struct{}
	output  *output
	stop    syscall.Signal // what a crash looks like
}

// StartPostgres starts one that ends with the test. Each setting has the form
// name=value. The superuser is "postgres", and everybody on this machine is trusted.
func StartPostgres(t testing.TB, settings ...string) *Postgres {
	t.Helper()
	// Debian puts its programs outside PATH, side by side.
	path := find(t, "initdb", "/usr/lib/postgresql/*/bin/initdb")
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	dir, attr := ownDir(t)
	data := filepath.Join(dir, "data")
	create := exec.Command(path, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
		"--no-locale", "--no-sync") // #nosec G204 -- tests only
	create.Dir, create.SysProcAttr = dir, attr()
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	p := &Postgres{Addr: freeAddr(t), t: t, stop: syscall.SIGQUIT}
	_, port, _ := net.SplitHostPort(p.Addr)
	p.command = func() *exec.Cmd {
		args := []string{"-D", data, "-h", "127.0.0.1", "-p", port, "-k", dir, "-c", "fsync=off"}
		for _, setting := range settings {
			args = append(args, "-c", setting)
		}
		// #nosec G204 -- tests only
		cmd := exec.Command(filepath.Join(filepath.Dir(path), "postgres"), args...)
		cmd.Dir, cmd.SysProcAttr = dir, attr()
		return cmd
	}
	p.start()
	t.Cleanup(p.Kill)
	return p
}

// StartPgBouncer starts a pgbouncer in transaction mode before p. Users lists who may
// log in, without a password.
func StartPgBouncer(t testing.TB, p *Postgres, users ...string) *Postgres {
	t.Helper()
	path := find(t, "pgbouncer", "/usr/sbin/pgbouncer")
	dir, attr := ownDir(t)
	host, port, _ := net.SplitHostPort(p.Addr)
	b := &Postgres{Addr: freeAddr(t), t: t, stop: syscall.SIGTERM}
	_, listen, _ := net.SplitHostPort(b.Addr)
	var list strings.Builder
	for _, name := range users {
		fmt.Fprintf(&list, "%q \"\"\n", name)
	}
	config := fmt.Sprintf("[databases]\n* = host=%s port=%s\n[pgbouncer]\nlisten_addr=127.0.0.1\n"+
		"listen_port=%s\nunix_socket_dir=\nauth_type=trust\nauth_file=%s/users.txt\n"+
		"pool_mode=transaction\ndefault_pool_size=4\nmax_client_conn=500\n", host, port, listen, dir)
	for name, text := range map[string]string{"users.txt": list.String(), "pgbouncer.ini": config} {
		// #nosec G306 -- pgbouncer, which is another user, reads it
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b.command = func() *exec.Cmd {
		cmd := exec.Command(path, filepath.Join(dir, "pgbouncer.ini")) // #nosec G204 -- tests only
		cmd.Dir, cmd.SysProcAttr = dir, attr()
		return cmd
	}
	b.start()
	t.Cleanup(b.Kill)
	return b
}

// URL is where a user reaches a database.
func (p *Postgres) URL(user, database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(user), Host: p.Addr, Path: database}
	u.RawQuery = "sslmode=disable"
	return u.String()
}

// Pid is the process id of the server, whose children serve the connections.
func (p *Postgres) Pid() int { return p.cmd.Process.Pid }

// Kill ends the server as a crash would: every connection drops, no checkpoint is
// written, and the next start recovers from the log.
func (p *Postgres) Kill() {
	_ = p.cmd.Process.Signal(p.stop)
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	<-p.exited
}

// Restart starts the server again on what it has.
func (p *Postgres) Restart() {
	p.t.Helper()
	p.Kill()
	p.start()
}

func (p *Postgres) start() {
	p.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		p.cmd, p.output = p.command(), &output{}
		p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
		if err := p.cmd.Start(); err != nil {
			p.t.Fatal(err)
		}
		p.exited = make(chan struct{})
		go func(cmd *exec.Cmd, exited chan struct{}) { _ = cmd.Wait(); close(exited) }(p.cmd, p.exited)
		for running := true; running; {
			select {
			case <-p.exited:
				running = false
			case <-time.After(20 * time.Millisecond):
				// Its own words: a connection might reach a stranger on this port.
				if p.output.isReady() {
					return
				}
				running = time.Now().Before(deadline)
			}
		}
		if !p.output.taken() || time.Now().After(deadline) {
			p.t.Fatalf("%s does not start:\n%s", p.cmd.Path, p.output.text.String())
		}
	}
}

// output keeps the beginning of what a server says, and notices when it says that it is
// ready, however much it says before.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	ready bool
}

func (o *output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ready = o.ready || bytes.Contains(text, []byte("ready to accept connections")) ||
		bytes.Contains(text, []byte("process up: PgBouncer"))
	if o.text.Len() < 64<<10 {
		o.text.Write(text)
	}
	return len(text), nil
}

func (o *output) isReady() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ready
}

// taken reports whether another process has what the server needs: a dying one may hold
// the port, the folder or the memory for a moment.
func (o *output) taken() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Contains(o.text.Bytes(), []byte("in use")) ||
		bytes.Contains(o.text.Bytes(), []byte("lock file"))
}

// ownDir makes a folder for a server that refuses to run as root, and says as whom it
// runs. It is not t.TempDir, which only root can enter.
func ownDir(t testing.TB) (dir string, attr func() *syscall.SysProcAttr) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ingest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if os.Geteuid() != 0 {
		return dir, func() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		if err := os.Chown(dir, int(uid), int(gid)); err != nil { // #nosec G115 -- 32 bits
			t.Fatal(err)
		}
		who := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return dir, func() *syscall.SysProcAttr { return &syscall.SysProcAttr{Credential: who} }
	}
	t.Fatal("Postgres refuses root, and there is no user postgres or nobody to run it as")
	return "", nil
}

// freeAddr is an address that is free now, unless somebody is faster. Its port lies below
// those of outgoing connections, of which one could take it while the server restarts.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000)) // #nosec G404 -- tests only
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
		if err == nil {
			_ = listener.Close()
			return addr
		}
	}
	t.Fatal("no free port on 127.0.0.1")
	return ""
}
