package server_test

import (
	"context"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/voice/media"
	"github.com/opsmantik/sallyport/examples/voice/relay"
	"github.com/opsmantik/sallyport/examples/voice/server"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/internal/loopback"
)

// newBrowser starts a Chromium with a microphone that beeps.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(loopback.Chromium(t)), chromedp.UserDataDir(t.TempDir()),
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless, chromedp.NoSandbox,
	}
	for _, flag := range []string{
		"use-fake-ui-for-media-stream", "use-fake-device-for-media-stream",
		"allow-loopback-in-peer-connection", // there may be no other network
		"disable-gpu", "disable-quic", "disable-background-networking",
		"disable-component-update", "disable-sync", "disable-dev-shm-usage",
	} {
		options = append(options, chromedp.Flag(flag, true))
	}
	options = append(options, chromedp.Flag("autoplay-policy", "no-user-gesture-required"))
	limit, stop := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(stop)
	allocator, stopBrowser := chromedp.NewExecAllocator(limit, options...)
	t.Cleanup(stopBrowser)
	return allocator
}

// tab is one tab of a browser, on the page.
type tab struct{ ctx context.Context }

func (b tab) eval(t *testing.T, script string) string {
	t.Helper()
	got, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
	require.NoError(t, err)
	return got
}

// page is a page in whichever browser.
type page interface {
	eval(t *testing.T, script string) string
}

// waits polls until a script says true.
func waits(t *testing.T, b page, what, script string) {
	t.Helper()
	for end := time.Now().Add(40 * time.Second); b.eval(t, "String("+script+")") != "true"; {
		if time.Now().After(end) {
			says := b.eval(t, status+" + '; ' + document.getElementById('why').textContent")
			require.Fail(t, what, "the page says: %s", says)
		}
		<-time.After(200 * time.Millisecond)
	}
}

func (b tab) waits(t *testing.T, what, script string) {
	t.Helper()
	waits(t, b, what, script)
}

func (b tab) click(t *testing.T, id string) {
	t.Helper()
	b.eval(t, "(document.getElementById('"+id+"').click(), '')")
}

const heard = "[...document.querySelectorAll('dt')].some(d => " +
	"d.textContent === 'Packets heard' && Number(d.nextSibling.textContent) > 50)"

const status = "document.getElementById('status').textContent"

// TestTwoTabsTalkInChromium, one of them through the TURN server; a third one with a token
// that was used is refused and says why; who signs out is cut off; the recording plays.
func TestTwoTabsTalkInChromium(t *testing.T) {
	browser := newBrowser(t)
	s := newSite(t, func(c *server.Config) {
		c.LinkLifetime = 4 * time.Second
		c.TURN, c.TURNAddress = newSocket(t), netip.MustParseAddr("127.0.0.1")
	})
	web := httptest.NewServer(s.Handler())
	t.Cleanup(web.Close)

	first, stop := chromedp.NewContext(browser)
	t.Cleanup(stop)
	tabs := []tab{{first}}
	require.NoError(t, chromedp.Do(first, chromedp.Navigate(web.URL+"/")))
	for _, path := range []string{"/?relay", "/"} {
		another, stop := chromedp.NewContext(first)
		t.Cleanup(stop)
		require.NoError(t, chromedp.Do(another, chromedp.Navigate(web.URL+path)))
		tabs = append(tabs, tab{another})
	}
	tabs[0].eval(t, "(document.querySelector('#login button').click(), '')")
	tabs[0].waits(t, "signed in", status+".startsWith('signed in')")
	for _, b := range tabs[:2] {
		b.eval(t, "(document.querySelector('#join button').click(), '')")
		b.waits(t, "connected", status+" === 'connected'")
	}
	require.Equal(t, 2, s.Rooms().Len())
	for _, b := range tabs[:2] {
		b.waits(t, "hears the other", heard)
		facts := b.eval(t, "document.getElementById('facts').textContent")
		t.Log(facts)
		require.Contains(t, facts, "FEFD", "DTLS 1.2")
		require.Contains(t, facts, "TLS_ECDHE_ECDSA_WITH_AES_")
		require.Contains(t, facts, "GCM")
		require.Contains(t, facts, "AEAD_AES_256_GCM")
	}

	used := tabs[0].eval(t, "document.getElementById('used').textContent")
	require.NotEmpty(t, used)
	tabs[2].eval(t, "(document.getElementById('token').value = '"+used+"', "+
		"document.querySelector('#join button').click(), '')")
	tabs[2].waits(t, "refused", status+" === 'refused'")
	why := tabs[2].eval(t, "document.getElementById('why').textContent")
	require.Contains(t, why, hmacsig.CodeReplayed)
	require.Contains(t, why, "used already")

	tabs[2].click(t, "logout")
	for _, b := range tabs[:2] {
		b.waits(t, "cut off", "['closed', 'failed', 'disconnected', 'left'].includes("+status+")")
	}
	require.Zero(t, s.Rooms().Len())

	tabs[2].eval(t, "(document.querySelector('#login button').click(), '')")
	tabs[2].waits(t, "signed in again", status+".startsWith('signed in')")
	playsRecording(t, tabs[2])

	codes := map[string]int{}
	for len(s.events) > 0 {
		e := <-s.events
		codes[e.Code]++
		// Chromium opens a relay per network, and uses one of them.
		usage, ok := e.Detail.(*relay.Usage)
		if ok && e.Code == relay.CodeRelayClosed && usage.In > 2000 && usage.Out > 2000 {
			codes["relayed"]++
		}
	}
	require.NotZero(t, codes["relayed"], "the second tab talks through the relay")
	require.Equal(t, 2, codes[media.CodeConnected], codes)
	require.Equal(t, 2, codes[media.CodeRevoked], codes)
	require.Equal(t, 1, codes[hmacsig.CodeReplayed], codes)
}

// playsRecording plays what was said for longer than a link lives, by links that the page
// renews, jumps back, and hears nothing any more once the call is erased.
func playsRecording(t *testing.T, b tab) {
	t.Helper()
	b.click(t, "refresh")
	b.waits(t, "listed", "document.querySelectorAll('#recordings li').length === 2")
	first := b.eval(t, "(document.querySelector('#recordings button').click(), "+
		"document.getElementById('player').src)")
	b.waits(t, "plays", "document.getElementById('player').currentTime > 0.5")
	before := b.eval(t, "document.getElementById('player').src")
	require.NotEqual(t, first, before)
	b.waits(t, "renewed", "document.getElementById('player').src !== '"+before+"'")
	b.eval(t, "(document.getElementById('player').currentTime = 0.2, "+
		"document.getElementById('player').play(), '')")
	b.waits(t, "plays again", "document.getElementById('player').currentTime > 0.7")
	require.Empty(t, b.eval(t, "document.getElementById('why').textContent"))
	b.eval(t, "([...document.querySelectorAll('#recordings button')].at(-1).click(), '')")
	b.waits(t, "erased", "document.querySelectorAll('#recordings li').length === 0")
}
