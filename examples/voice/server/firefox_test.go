package server_test

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/websocket"

	"github.com/opsmantik/sallyport/examples/voice/media"
	"github.com/opsmantik/sallyport/examples/voice/server"
	"github.com/opsmantik/sallyport/hmacsig"
)

// firefox is a Firefox that WebDriver BiDi drives.
type firefox struct {
	conn *websocket.Conn
	last int
}

// preferences have it use a microphone of its own, and look for nothing on the network.
const preferences = `user_pref("media.navigator.streams.fake", true);
user_pref("media.navigator.permission.disabled", true);
user_pref("media.autoplay.default", 0);
user_pref("app.update.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
`

var listening = regexp.MustCompile(`WebDriver BiDi listening on (ws://\S+)`)

func startFirefox(t *testing.T) *firefox {
	t.Helper()
	path, err := exec.LookPath("firefox-esr")
	if err != nil {
		t.Skip("there is no firefox-esr (Debian package firefox-esr); Chromium is tested everywhere")
	}
	profile := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(profile, "user.js"), []byte(preferences), 0o600))
	cmd := exec.CommandContext(t.Context(), path, "--headless", "--no-remote", "--profile", profile,
		"--remote-debugging-port", "0", "--remote-allow-origins", "http://127.0.0.1/", "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+profile, "MOZ_DISABLE_CONTENT_SANDBOX=1")
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	found := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				found <- m[1]
			}
		}
	}()
	select {
	case url := <-found:
		conn, err := websocket.Dial(url+"/session", "", "http://127.0.0.1/")
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		f := &firefox{conn: conn}
		f.command(t, "session.new", map[string]any{"capabilities": map[string]any{}})
		return f
	case <-time.After(time.Minute):
		require.Fail(t, "Firefox does not start")
		return nil
	}
}

// command sends a command, and returns its result.
func (f *firefox) command(t *testing.T, method string, params any) json.RawMessage {
	t.Helper()
	f.last++
	require.NoError(t, f.conn.SetDeadline(time.Now().Add(time.Minute)))
	require.NoError(t, websocket.JSON.Send(f.conn, map[string]any{
		"id": f.last, "method": method, "params": params,
	}))
	for {
		var answer struct {
			ID      int
			Type    string
			Message string
			Result  json.RawMessage
		}
		require.NoError(t, websocket.JSON.Receive(f.conn, &answer))
		if answer.ID == f.last {
			require.Equal(t, "success", answer.Type, answer.Message)
			return answer.Result
		}
	}
}

// open opens a page in a new tab.
func (f *firefox) open(t *testing.T, url string) firefoxTab {
	t.Helper()
	var made struct{ Context string }
	require.NoError(t, json.Unmarshal(f.command(t, "browsingContext.create", map[string]string{
		"type": "tab",
	}), &made))
	f.command(t, "browsingContext.navigate", map[string]string{
		"context": made.Context, "url": url, "wait": "complete",
	})
	return firefoxTab{f, made.Context}
}

type firefoxTab struct {
	f       *firefox
	context string
}

func (b firefoxTab) eval(t *testing.T, script string) string {
	t.Helper()
	var answer struct {
		Type             string
		Result           struct{ Value any }
		ExceptionDetails struct{ Text string }
	}
	require.NoError(t, json.Unmarshal(b.f.command(t, "script.evaluate", map[string]any{
		"expression": script, "target": map[string]string{"context": b.context}, "awaitPromise": true,
		"userActivation": true,
	}), &answer))
	require.Equal(t, "success", answer.Type, answer.ExceptionDetails.Text)
	text, _ := answer.Result.Value.(string)
	return text
}

// ownAddress is one of this machine that is not the loopback's, which Firefox does not
// connect. What is sent there does not leave the machine.
func ownAddress(t *testing.T) net.IP {
	t.Helper()
	all, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, addr := range all {
		if network, ok := addr.(*net.IPNet); ok && network.IP.To4() != nil && !network.IP.IsLoopback() {
			return network.IP
		}
	}
	t.Skip("Firefox needs another address than the loopback's")
	return nil
}

// TestTwoTabsTalkInFirefox, where it is installed.
func TestTwoTabsTalkInFirefox(t *testing.T) {
	f := startFirefox(t)
	s := newSite(t, func(c *server.Config) {
		require.NoError(t, c.Conn.Close())
		var err error
		c.Conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: ownAddress(t)})
		require.NoError(t, err)
	})
	web := httptest.NewServer(s.Handler())
	t.Cleanup(web.Close)
	t.Cleanup(func() {
		for t.Failed() && len(s.events) > 0 {
			e := <-s.events
			t.Log(e.Code, e.Policy, e.Err)
		}
	})
	tabs := []firefoxTab{f.open(t, web.URL+"/"), f.open(t, web.URL+"/"), f.open(t, web.URL+"/")}
	tabs[0].eval(t, "(document.querySelector('#login button').click(), '')")
	waits(t, tabs[0], "signed in", status+".startsWith('signed in')")
	for _, b := range tabs[:2] {
		b.eval(t, "(document.querySelector('#join button').click(), '')")
		waits(t, b, "connected", status+" === 'connected'")
	}
	for _, b := range tabs[:2] {
		waits(t, b, "hears the other", heard)
	}
	used := tabs[0].eval(t, "document.getElementById('used').textContent")
	require.NotEmpty(t, used)
	tabs[2].eval(t, "(document.getElementById('token').value = '"+used+"', "+
		"document.querySelector('#join button').click(), '')")
	waits(t, tabs[2], "refused", status+" === 'refused'")
	require.Contains(t, tabs[2].eval(t, "document.getElementById('why').textContent"), hmacsig.CodeReplayed)
	var codes strings.Builder
	for len(s.events) > 0 {
		codes.WriteString(" " + (<-s.events).Code)
	}
	require.Equal(t, 2, strings.Count(codes.String(), media.CodeConnected), codes.String())
}
