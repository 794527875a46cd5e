package browser

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/stretchr/testify/require"
)

// corsScripts are what a page can do to the API. URL stands for the target.
// Each resolves to what the page got to see.
var corsScripts = map[string]string{
	"simple": `fetch(URL, {method: "POST", body: "x", credentials: "omit"})
		.then(r => r.status + " " + r.headers.get("X-Opsmantik-Ratelimit"), () => "failed")`,
	"get": `fetch(URL, {credentials: "omit"}).then(r => "" + r.status, () => "failed")`,
	"preflighted": `fetch(URL, {method: "PUT", headers: {"X-Ops-Ts": "1"}})
		.then(r => "" + r.status, () => "failed")`,
	"unlisted header": `fetch(URL, {method: "PUT", headers: {"X-Other": "1"}})
		.then(r => "" + r.status, () => "failed")`,
	"unlisted method": `fetch(URL, {method: "DELETE"}).then(r => "" + r.status, () => "failed")`,
	"credentials": `fetch(URL, {method: "POST", credentials: "include"})
		.then(r => "" + r.status, () => "failed")`,
	"no-cors": `fetch(URL, {method: "POST", mode: "no-cors"}).then(r => r.type, () => "failed")`,
	"beacon": `new Promise(done => {
		navigator.sendBeacon(URL, "x");
		const poll = () => performance.getEntriesByName(URL).length ? done("sent")
			: setTimeout(poll, 10);
		poll();
	})`,
	"image": `new Promise(done => {
		const image = new Image();
		image.onload = image.onerror = () => done("over");
		image.src = URL;
	})`,
	"websocket": `new Promise(done => {
		const socket = new WebSocket(URL.replace("http:", "ws:"));
		let opened = false;
		socket.onopen = () => opened = true;
		socket.onclose = () => done(opened ? "opened" : "failed");
	})`,
	"form": `new Promise(done => {
		const frame = document.createElement("iframe");
		frame.name = "target";
		document.documentElement.append(frame);
		const form = document.createElement("form");
		form.method = "POST"; form.action = URL; form.target = "target";
		document.documentElement.append(form);
		frame.onload = () => done("over");
		form.submit();
	})`,
	"sandboxed": `new Promise(done => {
		addEventListener("message", event => done(event.data));
		const frame = document.createElement("iframe");
		frame.sandbox = "allow-scripts";
		frame.srcdoc = "<script>fetch('" + URL + "', {method: 'POST', body: 'x'})" +
			".then(r => '' + r.status, () => 'failed')" +
			".then(text => parent.postMessage(text, '*'))</" + "script>";
		document.documentElement.append(frame);
	})`,
}

// corsCase is one script on one page.
type corsCase struct {
	page, script string
	via          string // a server that redirects to the API
	referrer     string
	result       string // what the page sees
	decisions    string // what the gate decided, in order
	ran          string // the methods with which the handler ran
}

func corsCases() map[string]corsCase {
	const null = "no-referrer"
	return map[string]corsCase{
		"listed/simple": {
			page: "listed", script: "simple",
			result: "200 1", decisions: "POST origin_listed", ran: "POST",
		},
		"listed/preflighted": {
			page: "listed", script: "preflighted",
			result: "200", decisions: "OPTIONS origin_listed,PUT origin_listed", ran: "PUT",
		},
		"listed/unlisted header": {
			page: "listed", script: "unlisted header",
			result: "failed", decisions: "OPTIONS header_not_listed",
		},
		"listed/unlisted method": {
			page: "listed", script: "unlisted method",
			result: "failed", decisions: "OPTIONS method_not_listed",
		},
		"listed/credentials": {
			page: "listed", script: "credentials",
			result: "200", decisions: "POST origin_listed", ran: "POST",
		},
		"listed/no-cors": {
			page: "listed", script: "no-cors",
			result: "opaque", decisions: "POST origin_listed", ran: "POST",
		},
		"listed/beacon": {
			page: "listed", script: "beacon",
			result: "sent", decisions: "POST origin_listed", ran: "POST",
		},
		"listed/websocket": {
			page: "listed", script: "websocket",
			result: "opened", decisions: "GET origin_listed", ran: "GET",
		},
		"listed/form": {
			page: "listed", script: "form",
			result: "over", decisions: "POST origin_listed", ran: "POST",
		},
		"listed/image": {
			page: "listed", script: "image", result: "over", decisions: "GET cross_site",
		},
		"listed/sandboxed": {
			page: "listed", script: "sandboxed", result: "failed", decisions: "POST origin_null",
		},
		"listed/simple, no-referrer": {
			page: "listed", script: "simple", referrer: null,
			result: "200 1", decisions: "POST origin_listed", ran: "POST",
		},
		"listed/form, no-referrer": {
			page: "listed", script: "form", referrer: null,
			result: "over", decisions: "POST origin_null",
		},
		"listed/simple, redirected by the API": {
			page: "listed", script: "simple", via: "api",
			result: "200 1", decisions: "POST origin_listed", ran: "POST",
		},
		"listed/simple, redirected by itself": {
			page: "listed", script: "simple", via: "listed",
			result: "200 1", decisions: "POST origin_listed", ran: "POST",
		},
		"listed/simple, redirected by a stranger": {
			page: "listed", script: "simple", via: "stranger",
			result: "failed", decisions: "POST origin_null",
		},
		"stranger/simple": {
			page: "stranger", script: "simple", result: "failed", decisions: "POST origin_not_listed",
		},
		"stranger/get": {
			page: "stranger", script: "get", result: "failed", decisions: "GET origin_not_listed",
		},
		"stranger/preflighted": {
			page: "stranger", script: "preflighted",
			result: "failed", decisions: "OPTIONS origin_not_listed",
		},
		"stranger/credentials": {
			page: "stranger", script: "credentials",
			result: "failed", decisions: "POST origin_not_listed",
		},
		"stranger/no-cors": {
			page: "stranger", script: "no-cors",
			result: "opaque", decisions: "POST origin_not_listed",
		},
		"stranger/beacon": {
			page: "stranger", script: "beacon", result: "sent", decisions: "POST origin_not_listed",
		},
		"stranger/websocket": {
			page: "stranger", script: "websocket",
			result: "failed", decisions: "GET origin_not_listed",
		},
		"stranger/form": {
			page: "stranger", script: "form", result: "over", decisions: "POST origin_not_listed",
		},
		"stranger/image": {
			page: "stranger", script: "image", result: "over", decisions: "GET cross_site",
		},
		"stranger/sandboxed": {
			page: "stranger", script: "sandboxed", result: "failed", decisions: "POST origin_null",
		},
		"own/simple": {
			page: "api", script: "simple",
			result: "200 1", decisions: "POST same_origin", ran: "POST",
		},
		"own/get": {
			page: "api", script: "get", result: "200", decisions: "GET no_origin", ran: "GET",
		},
		"own/unlisted method": {
			page: "api", script: "unlisted method",
			result: "200", decisions: "DELETE same_origin", ran: "DELETE",
		},
		"own/credentials": {
			page: "api", script: "credentials",
			result: "200", decisions: "POST same_origin", ran: "POST",
		},
		"own/websocket": {
			page: "api", script: "websocket",
			result: "opened", decisions: "GET same_origin", ran: "GET",
		},
		"own/form": {
			page: "api", script: "form",
			result: "over", decisions: "POST same_origin", ran: "POST",
		},
		"own/form, no-referrer": {
			page: "api", script: "form", referrer: null,
			result: "over", decisions: "POST same_origin", ran: "POST",
		},
		"own/image": {
			page: "api", script: "image", result: "over", decisions: "GET no_origin", ran: "GET",
		},
		"own/beacon": {
			page: "api", script: "beacon",
			result: "sent", decisions: "POST same_origin", ran: "POST",
		},
		"own/sandboxed": {
			page: "api", script: "sandboxed", result: "failed", decisions: "POST origin_null",
		},
		"own/simple, redirected by itself": {
			page: "api", script: "simple", via: "api",
			result: "200 1", decisions: "POST same_origin", ran: "POST",
		},
	}
}

// TestCorsInChromium plays every script on every page and compares what the
// page saw, what the gate decided and whether the handler ran.
func TestCorsInChromium(t *testing.T) {
	world := newCorsWorld(t, true)
	tab := corsTab(t)
	for name, test := range corsCases() {
		t.Run(name, func(t *testing.T) { test.play(t, tab, world, name) })
	}
}

// TestCorsInChromiumWithoutOwnOrigins: Sec-Fetch-Site alone recognises the
// server's own pages, except in WebSocket handshakes, which have no such header.
func TestCorsInChromiumWithoutOwnOrigins(t *testing.T) {
	world := newCorsWorld(t, false)
	tab := corsTab(t)
	for name, test := range corsCases() {
		if test.page != "api" {
			continue
		}
		if test.script == "websocket" {
			test.result, test.decisions, test.ran = "failed", "GET origin_not_listed", ""
		}
		t.Run(name, func(t *testing.T) { test.play(t, tab, world, name) })
	}
}

func (test corsCase) play(t *testing.T, tab context.Context, world *corsWorld, name string) {
	path := "/" + strings.NewReplacer(" ", "-", "/", "-", ",", "").Replace(name)
	target := world.api + path
	if test.via != "" {
		target = world.origin(test.via) + "/redirect" + path
	}
	page := world.origin(test.page) + "/page?referrer=" + test.referrer
	require.NoError(t, chromedp.Do(tab, chromedp.Navigate(page)))
	result, err := chromedp.Run(tab, chromedp.Evaluate[string](
		corsScript(test.script, target), chromedp.EvalAwaitPromise))
	require.NoError(t, err)
	require.Equal(t, test.result, result)

	record := world.get(path)
	require.Equal(t, test.decisions, strings.Join(record.decisions, ","))
	require.Equal(t, test.ran, strings.Join(record.ran, ","))
	site := "cross-site"
	switch {
	case test.script == "websocket":
		site = ""
	case test.page == "api" && test.script != "sandboxed":
		site = "same-origin"
	}
	require.Equal(t, site, record.fetchSite, "Sec-Fetch-Site")
	if test.script == "credentials" && test.ran != "" {
		require.Equal(t, test.page == "api", strings.Contains(record.cookies, "visitor=7"),
			"Lax cookies go with same-site requests only: %q", record.cookies)
	}
}

func corsScript(name, target string) string {
	return "(async () => { const URL = '" + target + "'; return await " + corsScripts[name] + " })()"
}

// corsTab starts a browser of its own, for one test.
func corsTab(t *testing.T) context.Context {
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(loopback.Chromium(t)),
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless, chromedp.NoSandbox,
		chromedp.UserDataDir(t.TempDir()),
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
