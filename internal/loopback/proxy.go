//go:build unix

package loopback

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

var (
	nginx = binary{names: []string{"nginx"}, glob: "/usr/sbin/nginx", pkg: "nginx"}
	caddy = binary{names: []string{"caddy"}, pkg: "caddy"}
)

// Nginx starts nginx with the text of a file of /etc/nginx/conf.d, which config returns
// for a port of 127.0.0.1.
func Nginx(t testing.TB, config func(port int) string) *Server {
	t.Helper()
	path, dir := nginx.find(t), t.TempDir()
	s := &Server{t: t, stop: syscall.SIGTERM}
	s.command = func(port int) *exec.Cmd {
		text := fmt.Sprintf("daemon off; pid %s/nginx.pid; error_log stderr notice;\n"+
			"events {}\nhttp { access_log off; client_body_temp_path %[1]s/body;\n"+
			"proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u;\n"+
			"scgi_temp_path %[1]s/s;\n%[2]s}\n", dir, config(port))
		return exec.Command(path, "-e", "stderr", "-p", dir, "-c", write(t, dir, text)) // #nosec G204 -- tests only
	}
	s.start(func() (int, error) { return freePort() })
	return s
}

// Caddy starts Caddy with the Caddyfile that config returns for a port of 127.0.0.1.
func Caddy(t testing.TB, config func(port int) string) *Server {
	t.Helper()
	path, dir := caddy.find(t), t.TempDir()
	s := &Server{t: t, stop: syscall.SIGKILL}
	s.command = func(port int) *exec.Cmd {
		cmd := exec.Command(path, "run", "--adapter", "caddyfile", // #nosec G204 -- tests only
			"--config", write(t, dir, config(port)))
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
		return cmd
	}
	s.start(func() (int, error) { return freePort() })
	return s
}

func write(t testing.TB, dir, text string) string {
	t.Helper()
	file := filepath.Join(dir, "config")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatalf("loopback: %v", err)
	}
	return file
}
