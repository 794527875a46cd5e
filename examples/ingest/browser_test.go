package main_test

import (
	"context"
	"database/sql"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/demo"
	"github.com/opsmantik/sallyport/examples/ingest/servicetest"
)

// browser starts a real Chromium that talks to this machine only.
func browser(t *testing.T) context.Context {
	t.Helper()
	options := append([]chromedp.ExecAllocatorOption{
		chromedp.ExecPath(servicetest.Chromium(t)),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox, // tests may run as root
	}, chromedp.Flag("headless", true), chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-quic", true), chromedp.Flag("no-first-run", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 90*time.Second)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

// count reads one number from the server's database.
func count(t *testing.T, dir, query string) int {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "sallyport.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	var n int
	require.NoError(t, db.QueryRowContext(t.Context(), query).Scan(&n))
	return n
}

// text reads one text from the server's database.
func text(t *testing.T, dir, query string) string {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "sallyport.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	var value string
	require.NoError(t, db.QueryRowContext(t.Context(), query).Scan(&value))
	return value
}

// logged waits until the page's own log has n lines, and returns them.
func logged(t *testing.T, ctx context.Context, n int) string {
	t.Helper()
	lines := chromedp.CSS("#log li:nth-child(" + strconv.Itoa(n) + ")")
	require.NoError(t, chromedp.Do(ctx, chromedp.WaitVisible(lines)))
	text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("#log")))
	require.NoError(t, err)
	return text
}

// visit opens the demo page, waits for its first report, follows the call
// link and returns what the page says it has sent.
func visit(t *testing.T, ctx context.Context, url string) string {
	t.Helper()
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(url+"/demo")))
	logged(t, ctx, 1)
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS("#call"))))
	return logged(t, ctx, 3)
}

func TestDemoPageInChromium(t *testing.T) {
	ctx := browser(t)
	dir := t.TempDir()
	p := start(t, dir)
	lines := visit(t, ctx, p.DemoURL)
	require.Contains(t, lines, "interaction/view: 202")
	require.Contains(t, lines, "conversion/phone_call: 202")
	require.Contains(t, lines, "call-event: 202", "signed in the page, after a preflight")

	// Leaving sends the end of the session by beacon.
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("about:blank")))
	require.Eventually(t, func() bool {
		return count(t, dir, `SELECT count(*) FROM events WHERE action = 'session_end'`) == 1
	}, 20*time.Second, 20*time.Millisecond, "the beacon did not arrive")
	require.Equal(t, 1, count(t, dir, `SELECT count(*) FROM events WHERE action = 'phone_call'`))
	require.Equal(t, 1, count(t, dir, `SELECT count(*) FROM events WHERE action = 'view'`))
	require.Equal(t, 1, count(t, dir, `SELECT count(*) FROM calls`))
	p.stop()
}

func TestUnlistedOriginStoresNothing(t *testing.T) {
	ctx := browser(t)
	dir := t.TempDir()
	p := start(t, dir)
	site := p.demo().Site
	handler, err := demo.Handler(demo.Page{SiteID: site.ID, Secret: site.Secret, API: p.URL + "/api/sync"})
	require.NoError(t, err)
	unlisted := httptest.NewServer(handler)
	t.Cleanup(unlisted.Close)

	lines := visit(t, ctx, unlisted.URL)
	require.NotContains(t, lines, "202")
	require.Equal(t, 3, strings.Count(lines, "refused or unreachable"))
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("about:blank"))) // and a beacon
	p.stop()
	require.Zero(t, count(t, dir, `SELECT count(*) FROM events`))
	require.Zero(t, count(t, dir, `SELECT count(*) FROM calls`))
	require.Zero(t, count(t, dir, `SELECT count(*) FROM queue`))
}
