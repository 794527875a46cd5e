//go:build unix

package loopback

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	startTimeout = 60 * time.Second // generous: CI machines are slow and shared
	stopTimeout  = 10 * time.Second
	portAttempts = 10
)

// Server is a running server process. Its methods fail the test on error and,
// like the test itself, belong to one goroutine.
type Server struct {
	Addr string // host:port on 127.0.0.1
	DSN  string // connection string; Postgres only

	t       testing.TB
	command func(port int) *exec.Cmd
	port    int
	stop    syscall.Signal // what a crash looks like
	proc    *process
}

// start runs command on a port that pick chose. Between choosing and binding
// another process may take the port: then the server exits, saying so, and the
// next port is tried.
func (s *Server) start(pick func() (int, error)) {
	s.t.Helper()
	var err error
	for range portAttempts {
		if s.port, err = pick(); err != nil {
			break
		}
		s.proc, err = launch(s.command(s.port))
		if err == nil || !strings.Contains(err.Error(), "already in use") {
			break
		}
	}
	if err != nil {
		s.t.Fatalf("loopback: %v", err)
	}
	s.Addr = fmt.Sprintf("127.0.0.1:%d", s.port)
	s.t.Cleanup(func() {
		if err := s.proc.end(s.stop); err != nil {
			s.t.Errorf("loopback: %v", err)
		}
	})
}

// Kill ends the server as a crash does and waits until it is gone. Redis gets
// SIGKILL. Postgres gets SIGQUIT, which drops every connection, writes no
// checkpoint, and makes the next start recover from the log; SIGKILL would
// leave its children behind.
func (s *Server) Kill() {
	s.t.Helper()
	if err := s.proc.end(s.stop); err != nil {
		s.t.Fatalf("loopback: %v", err)
	}
}

// Pause freezes the server (SIGSTOP): the kernel still accepts connections and
// nobody answers. Of Postgres only the postmaster stops, so open connections
// go on.
func (s *Server) Pause() { s.t.Helper(); s.signal(syscall.SIGSTOP) }

// Resume continues a paused server.
func (s *Server) Resume() { s.t.Helper(); s.signal(syscall.SIGCONT) }

// Restart kills the server if it runs and starts it on the same port with the
// same data folder. Redis comes back empty unless it was started with
// "--appendonly", "yes".
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	// A dying client or backend may hold the port, or Postgres' shared memory,
	// for a moment.
	deadline := time.Now().Add(startTimeout)
	for {
		proc, err := launch(s.command(s.port))
		if err == nil {
			s.proc = proc
			return
		}
		if !strings.Contains(err.Error(), "in use") || time.Now().After(deadline) {
			s.t.Fatalf("loopback: restart: %v", err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.proc.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("loopback: %v", err)
	}
}

// process is one run of a server binary.
type process struct {
	cmd  *exec.Cmd
	log  *transcript
	done chan struct{} // closed when the process has been waited for
}

// launch starts cmd and returns when it says that it is ready. Its own words
// are the only proof: a connection could reach a stranger on the same port.
func launch(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, log: newTranscript(), done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.WaitDelay = stopTimeout
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	dieWithParent(cmd.SysProcAttr)

	started := make(chan error)
	go func() {
		// The parent-death signal follows the thread that forked
		// (prctl(2), PR_SET_PDEATHSIG), so that thread must live as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in its log
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	select {
	case <-p.log.ready:
		return p, nil
	case <-p.done:
		return nil, fmt.Errorf("%s ended before it was ready:\n%s", cmd.Path, p.log)
	case <-time.After(startTimeout):
		err := fmt.Errorf("%s not ready after %v:\n%s", cmd.Path, startTimeout, p.log)
		return nil, errors.Join(err, p.end(syscall.SIGKILL))
	}
}

// end stops the process, with SIGKILL if it does not obey sig in time.
func (p *process) end(sig syscall.Signal) error {
	for _, s := range []syscall.Signal{sig, syscall.SIGKILL} {
		// An error means that it has ended already; done tells.
		_ = p.cmd.Process.Signal(s)
		_ = p.cmd.Process.Signal(syscall.SIGCONT)
		select {
		case <-p.done:
			return nil
		case <-time.After(stopTimeout):
		}
	}
	return fmt.Errorf("%s (pid %d) does not end", p.cmd.Path, p.cmd.Process.Pid)
}

// transcript keeps the beginning of a server's output and notices the line
// with which redis-server and postgres both announce themselves.
type transcript struct {
	ready chan struct{}

	mu   sync.Mutex
	text bytes.Buffer
	seen bool
}

const maxTranscript = 64 << 10

func newTranscript() *transcript { return &transcript{ready: make(chan struct{})} }

func (o *transcript) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if room := maxTranscript - o.text.Len(); room > 0 {
		o.text.Write(p[:min(room, len(p))])
	}
	if !o.seen && isReady(o.text.Bytes()) {
		o.seen = true
		close(o.ready)
	}
	return len(p), nil
}

func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// listenable reports whether port can be bound on 127.0.0.1 now.
func listenable(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// isReady looks for what each server says once it listens.
func isReady(said []byte) bool {
	return bytes.Contains(said, []byte("eady to accept connections")) ||
		bytes.Contains(said, []byte("Sentinel ID is")) ||
		bytes.Contains(said, []byte("process up: PgBouncer")) ||
		bytes.Contains(said, []byte("start worker process ")) || // nginx
		bytes.Contains(said, []byte("serving initial configuration")) // Caddy
}
