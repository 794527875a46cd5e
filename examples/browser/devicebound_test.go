package browser

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/sessions/devicebound"
)

// deviceData is what a bound session keeps.
type deviceData struct{ Device devicebound.Binding }

// deviceSite is a server whose sessions are bound where the browser can.
type deviceSite struct {
	*httptest.Server
	pin string // of the certificate's key

	mu     sync.Mutex
	cookie string // the last Cookie header of /me
	codes  []string
}

func (s *deviceSite) seen() (cookie, codes string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cookie, strings.Join(s.codes, " ")
}

// certificate makes one for localhost, and the hash of its key for Chromium.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	sum := sha256.Sum256(spki)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		base64.StdEncoding.EncodeToString(sum[:])
}

func newDeviceSite(t *testing.T, life time.Duration) *deviceSite {
	t.Helper()
	store, err := sessions.NewMemory(sessions.MemoryConfig{})
	require.NoError(t, err)
	sess, err := sessions.New[deviceData](sessions.Config{Store: store})
	require.NoError(t, err)
	site := &deviceSite{}
	device, err := devicebound.New(devicebound.Config[deviceData]{
		Sessions: sess, Life: life,
		Binding: func(d *deviceData) *devicebound.Binding { return &d.Device },
		OnEvent: func(_ context.Context, e sallyport.Event) {
			site.mu.Lock()
			defer site.mu.Unlock()
			site.codes = append(site.codes, e.Code)
		},
	})
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", page)
	mux.Handle("POST /login", sess.Load(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		login := sessions.Login{User: "ada", Level: sallyport.AAL1}
		if err := sess.Start(r.Context(), login, deviceData{}); err != nil {
			t.Error(err)
		}
		if err := device.Offer(w, r); err != nil {
			t.Error(err)
		}
	})))
	mux.Handle("GET /me", device.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		site.mu.Lock()
		defer site.mu.Unlock()
		site.cookie = r.Header.Get("Cookie")
	})))
	mux.Handle("/session/device", device.Register())
	mux.Handle("/session/device/refresh", device.Refresh())
	cert, pin := certificate(t)
	// As in production: what comes from elsewhere is refused first.
	site.Server = httptest.NewUnstartedServer(http.NewCrossOriginProtection().Handler(mux))
	site.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	site.StartTLS()
	t.Cleanup(site.Close)
	site.URL = strings.Replace(site.URL, "127.0.0.1", "localhost", 1)
	site.pin = pin
	return site
}

// bindingTab opens a Chromium that keeps keys in software, for lack of a chip.
func bindingTab(t *testing.T, pin string) context.Context {
	t.Helper()
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(loopback.Chromium(t)),
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless, chromedp.NoSandbox,
		chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("enable-features",
			"DeviceBoundSessions,EnableBoundSessionCredentialsSoftwareKeysForManualTesting"),
		// Not ignore-certificate-errors: that turns device bound sessions off.
		chromedp.Flag("ignore-certificate-errors-spki-list", pin),
	}
	for _, flag := range []string{
		"disable-gpu", "disable-quic", "disable-background-networking",
		"disable-component-update", "disable-sync", "disable-dev-shm-usage",
	} {
		options = append(options, chromedp.Flag(flag, true))
	}
	limit, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(stop)
	allocator, stopBrowser := chromedp.NewExecAllocator(limit, options...)
	t.Cleanup(stopBrowser)
	tab, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	return tab
}

// TestACopiedSessionDiesInChromium signs in, copies every cookie to another client,
// and waits: the copy is refused, and the browser goes on by proving itself.
func TestACopiedSessionDiesInChromium(t *testing.T) {
	const life = 6 * time.Second
	site := newDeviceSite(t, life)
	tab := bindingTab(t, site.pin)
	eval := func(script string) string {
		t.Helper()
		got, err := chromedp.Run(tab, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
		require.NoError(t, err)
		return got
	}
	require.NoError(t, chromedp.Do(tab, chromedp.Navigate(site.URL+"/")))
	require.Equal(t, "200", eval(status("POST", "/login")))
	require.Eventually(t, func() bool {
		_, codes := site.seen()
		return strings.Contains(codes, devicebound.CodeRegistered)
	}, 20*time.Second, 100*time.Millisecond, "Chromium registers a key on its own")
	require.Equal(t, "200", eval(status("GET", "/me")))
	stolen, _ := site.seen()
	require.Contains(t, stolen, sessions.DefaultCookie)
	require.Contains(t, stolen, devicebound.DefaultCookie)

	thief := site.Client()
	thief.Transport = &http.Transport{TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, // #nosec G402 -- the thief does not mind
	}}
	copied := func() int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, site.URL+"/me", nil)
		require.NoError(t, err)
		r.Header.Set("Cookie", stolen)
		res, err := thief.Do(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}
	require.Equal(t, 200, copied(), "for as long as the short-lived cookie works")
	<-time.After(life + time.Second)
	require.Equal(t, "200", eval(status("GET", "/me")), "the browser proves itself")
	require.Equal(t, 401, copied(), "the thief cannot")
	_, codes := site.seen()
	require.Contains(t, codes, devicebound.CodeRefreshed)
	require.Contains(t, codes, devicebound.CodeExpired, "and the attempt is an event")
	<-time.After(life + time.Second)
	require.Equal(t, "200", eval(status("GET", "/me")), "again and again")
	t.Log(codes)
}
