package proxies_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/handbook/proxies"
	"github.com/opsmantik/sallyport/internal/loopback"
)

// site is what a configuration needs to know of the machine.
type site struct{ service, certificate, key string }

func (s site) nginx(t *testing.T) *loopback.Server {
	t.Helper()
	text, err := os.ReadFile("nginx.conf")
	require.NoError(t, err)
	return loopback.Nginx(t, func(port int) string {
		return strings.NewReplacer("listen 443", fmt.Sprintf("listen 127.0.0.1:%d", port),
			"127.0.0.1:8080", s.service, "/etc/ssl/app.pem", s.certificate, "/etc/ssl/app.key", s.key,
		).Replace(string(text))
	})
}

func (s site) caddy(t *testing.T) *loopback.Server {
	t.Helper()
	text, err := os.ReadFile("Caddyfile")
	require.NoError(t, err)
	return loopback.Caddy(t, func(port int) string {
		return "{\n\tadmin off\n\tauto_https off\n}\n" + strings.NewReplacer(
			"app.example.com {", fmt.Sprintf("https://app.example.com:%d {\n\tbind 127.0.0.1\n\ttls %s %s",
				port, s.certificate, s.key), "127.0.0.1:8080", s.service,
		).Replace(string(text))
	})
}

func newSite(t *testing.T) (site, *x509.CertPool) {
	t.Helper()
	handler, err := proxies.New()
	require.NoError(t, err)
	service := httptest.NewServer(handler)
	t.Cleanup(service.Close)

	certified := httptest.NewTLSServer(nil) // for its certificate, which is also for *.example.com
	certified.Close()
	certificate := certified.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	require.NoError(t, err)
	s := site{
		service: service.Listener.Addr().String(), certificate: filepath.Join(t.TempDir(), "app.pem"),
		key: filepath.Join(t.TempDir(), "app.key"),
	}
	for file, block := range map[string]*pem.Block{
		s.certificate: {Type: "CERTIFICATE", Bytes: certificate.Certificate[0]},
		s.key:         {Type: "PRIVATE KEY", Bytes: key},
	} {
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	}
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	return s, roots
}

// client comes from another address than the proxy.
func client(addr string, roots *x509.CertPool) *http.Client {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", addr)
		},
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}}
}

func TestProxies(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(site, *testing.T) *loopback.Server{
		"nginx": site.nginx, "caddy": site.caddy,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, roots := newSite(t)
			c := client(start(s, t).Addr, roots)
			defer c.CloseIdleConnections()
			do := func(method, path string, body io.Reader, header ...string) *http.Response {
				r, err := http.NewRequestWithContext(t.Context(), method, "https://app.example.com"+path, body)
				require.NoError(t, err)
				for i := 0; i < len(header); i += 2 {
					r.Header.Set(header[i], header[i+1])
				}
				answer, err := c.Do(r)
				require.NoError(t, err)
				t.Cleanup(func() { _ = answer.Body.Close() })
				require.NotEmpty(t, answer.Header.Get("Strict-Transport-Security"), path)
				return answer
			}
			text := func(answer *http.Response) string {
				body, err := io.ReadAll(answer.Body)
				require.NoError(t, err)
				return string(body)
			}
			for _, header := range []string{
				"X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP",
			} {
				value := "203.0.113.99"
				if header == "Forwarded" {
					value = "for=" + value
				}
				require.Equal(t, "127.0.0.2", text(do("GET", "/whoami", nil, header, value)), header)
			}

			tooLong := do("POST", "/upload", bytes.NewReader(make([]byte, 3<<20)))
			require.Equal(t, 413, tooLong.StatusCode)
			require.Contains(t, text(tooLong), "the file is too long", "the service's own words")
			require.Equal(t, 404, do("GET", "/none", nil).StatusCode)

			events := bufio.NewReader(do("GET", "/stream", nil).Body)
			line, err := events.ReadString('\n') // the service holds the second one back
			require.NoError(t, err)
			require.Equal(t, "data: now\n", line)
		})
	}
}
