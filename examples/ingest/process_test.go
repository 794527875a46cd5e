package main_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/settings"
)

// built holds the server's binary, built once for all tests.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ingest-test-")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "ingest")
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	if err != nil {
		return "", &exec.Error{Name: string(out), Err: err}
	}
	return binary, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if binary, err := built(); err == nil {
		_ = os.RemoveAll(filepath.Dir(binary))
	}
	os.Exit(code)
}

// process is a running server, seen from outside.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how, once done
	dir  string

	URL     string // of the API
	DemoURL string // of the demo page
	out     *output
}

// output collects what the server prints, and can be waited for.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	lines chan string
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) collect(r io.Reader) {
	defer close(o.lines)
	scanner := bufio.NewScanner(r)
	for scanner.Scan() {
		o.mu.Lock()
		o.text.WriteString(scanner.Text() + "\n")
		o.mu.Unlock()
		select {
		case o.lines <- scanner.Text():
		default:
		}
	}
}

var (
	apiLine  = regexp.MustCompile(`^\s*api\s+(http://\S+)$`)
	demoLine = regexp.MustCompile(`^\s*demo page\s+(http://\S+)/demo$`)
)

// start runs the server in demo mode on free ports, over the data in dir.
func start(t testing.TB, dir string, env ...string) *process {
	t.Helper()
	binary, err := built()
	require.NoError(t, err)
	p := &process{t: t, dir: dir, done: make(chan struct{}), out: &output{lines: make(chan string, 100)}}
	p.cmd = exec.Command(binary) // #nosec G204 -- the binary under test
	p.cmd.Env = append(append(os.Environ(), "LISTEN_ADDR=127.0.0.1:0", "DATA_DIR="+dir,
		"RATE_PER_MINUTE=1000000"), env...)
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.cmd.Stderr = t.Output() // shown when the test fails
	require.NoError(t, p.cmd.Start())
	go func() {
		p.out.collect(stdout)
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(p.kill)

	p.await(!slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, "SITES_FILE=") }))
	return p
}

// await reads the banner: the addresses are known once it is printed.
func (p *process) await(demo bool) {
	p.t.Helper()
	deadline := time.After(30 * time.Second)
	for p.URL == "" || demo && p.DemoURL == "" {
		select {
		case line, open := <-p.out.lines:
			require.True(p.t, open, "the server stopped at once:\n%s", p.out)
			if m := apiLine.FindStringSubmatch(line); m != nil {
				p.URL = m[1]
			}
			if m := demoLine.FindStringSubmatch(line); m != nil {
				p.DemoURL = m[1]
			}
		case <-deadline:
			require.FailNow(p.t, "the server does not start", p.out.String())
		}
	}
}

// kill ends the process as a power cut would end it, and waits.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.done
}

// stop asks the process to end and requires that it ends well.
func (p *process) stop() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-p.done:
		require.NoError(p.t, p.err, "graceful stop:\n%s", p.out)
	case <-time.After(30 * time.Second):
		require.FailNow(p.t, "the server does not stop", p.out.String())
	}
}

// demo reads what the server generated.
func (p *process) demo() settings.Demo {
	p.t.Helper()
	data, err := os.ReadFile(filepath.Join(p.dir, "demo.json"))
	require.NoError(p.t, err)
	var d settings.Demo
	require.NoError(p.t, json.Unmarshal(data, &d))
	return d
}

// post sends a body to the API as a page on origin would.
func (p *process) post(ctx context.Context, path, origin, body string, headers ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if origin != "" {
		req.Header.Set("Origin", origin)
	}
	req.Header.Set("Content-Type", "text/plain")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return http.DefaultClient.Do(req)
}

// freeAddr is an address of this machine that nothing listens on.
func freeAddr(t testing.TB) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	return listener.Addr().String()
}

func writeFile(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// signed returns the three headers of a call event.
func signed(site, secret, body string) []string {
	ts := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(ts + "." + body))
	return []string{"X-Ops-Site-Id", site, "X-Ops-Ts", ts, "X-Ops-Signature", hex.EncodeToString(mac.Sum(nil))}
}
