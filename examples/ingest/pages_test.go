package main_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/require"
)

// reader is somebody at a browser who looks at the pages.
type reader struct {
	t   *testing.T
	ctx context.Context
	p   *process
	url string // by name, as security keys need it

	mu         sync.Mutex
	violations []string
}

// newReader opens a browser on a demo. What breaks the policy of a page fails the test.
func newReader(t *testing.T) *reader {
	t.Helper()
	r := &reader{t: t, ctx: browser(t), p: start(t, t.TempDir())}
	r.url = strings.Replace(r.p.URL, "127.0.0.1", "localhost", 1)
	require.NoError(t, chromedp.Do(r.ctx, chromedp.Navigate("about:blank")))
	require.NoError(t, chromedp.Listen(r.ctx, func(ev any) {
		if issue, ok := ev.(*audits.EventIssueAdded); ok {
			if csp := issue.Issue.Details.ContentSecurityPolicyIssueDetails; csp != nil {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.violations = append(r.violations, csp.ViolatedDirective+" "+csp.BlockedURL)
			}
		}
	}))
	_, err := chromedp.Call(r.ctx, audits.Enable, cdp.Empty{})
	require.NoError(t, err)
	t.Cleanup(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		require.Empty(t, r.violations)
	})
	return r
}

func (r *reader) do(steps ...chromedp.Action[chromedp.Void]) {
	r.t.Helper()
	require.NoError(r.t, chromedp.Do(r.ctx, steps...))
}

// open opens a page by its path.
func (r *reader) open(path string) {
	r.t.Helper()
	r.do(chromedp.Navigate(r.url + path))
}

// heading waits for a page by its heading.
func (r *reader) heading(text string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		got, err := chromedp.Run(r.ctx, chromedp.Evaluate[string](
			`document.readyState === 'complete' ? document.querySelector('h1')?.textContent ?? '' : ''`))
		return err == nil && got == text
	}, 20*time.Second, 20*time.Millisecond, "no page %q", text)
}

// says waits until an element says something.
func (r *reader) says(selector, text string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		got, err := chromedp.Run(r.ctx, chromedp.Evaluate[string](
			fmt.Sprintf(`document.querySelector(%q)?.textContent ?? ''`, selector)))
		return err == nil && strings.Contains(got, text)
	}, 20*time.Second, 20*time.Millisecond, "%s does not say %q", selector, text)
}

func (r *reader) click(selector string) {
	r.t.Helper()
	r.do(chromedp.Click(chromedp.CSS(selector)))
}

func (r *reader) fill(selector, text string) {
	r.t.Helper()
	r.do(chromedp.Clear(chromedp.CSS(selector)), chromedp.SendKeys(chromedp.CSS(selector), text))
}

// credentials are what the sign-in page of a demo shows.
func (r *reader) credentials() (email, password, code string) {
	r.t.Helper()
	got, err := chromedp.Run(r.ctx, chromedp.Evaluate[[]string](
		`[...document.querySelectorAll('dd code')].map(e => e.textContent)`))
	require.NoError(r.t, err)
	require.Len(r.t, got, 4)
	return got[0], got[1], got[2]
}

// password gives the password, on the sign-in page.
func (r *reader) password() (code string) {
	r.t.Helper()
	r.heading("Sign in")
	email, password, code := r.credentials()
	r.fill("#email", email)
	r.fill("#password", password)
	r.click("form.stack button")
	r.heading("Second factor")
	return code
}

// factor gives a code, or a recovery code.
func (r *reader) factor(code string) {
	r.t.Helper()
	r.fill("#code", code)
	r.click("form.stack button")
}

// key plugs a security key in.
func (r *reader) key(synced bool) webauthn.AuthenticatorID {
	r.t.Helper()
	_, err := chromedp.Call(r.ctx, webauthn.Enable, webauthn.EnableParams{})
	require.NoError(r.t, err)
	added, err := chromedp.Call(r.ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
		Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportUsb,
			HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
			DefaultBackupEligibility: synced, DefaultBackupState: synced,
		},
	})
	require.NoError(r.t, err)
	return added.AuthenticatorID
}

func (r *reader) unplug(id webauthn.AuthenticatorID) {
	r.t.Helper()
	_, err := chromedp.Call(r.ctx, webauthn.RemoveVirtualAuthenticator,
		webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: id})
	require.NoError(r.t, err)
}

// A security key in a real browser: registered, used, refused where it must be, and
// removed.
func TestSecurityKeyInChromium(t *testing.T) {
	r := newReader(t)
	r.open("/")
	r.factor(r.password())
	r.heading("Your account")

	synced := r.key(true)
	r.fill("#key-name", "phone")
	r.click("#add-key button")
	r.says("#key-status", "can be copied")
	r.unplug(synced)

	key := r.key(false)
	r.open("/account")
	r.fill("#key-name", "the blue one")
	r.click("#add-key button")
	r.says("section[aria-labelledby=keys] th[scope=row]", "the blue one")

	// Its removal takes the key itself: a code is not enough now.
	r.click(`form[action="/account/remove-key"] button`)
	r.heading("Second factor")
	r.do(chromedp.WaitNotPresent(chromedp.CSS("#code")))
	r.click("#use-key")
	r.heading("Your account")
	r.says("main", "signed in at level AAL3")

	// A browser that asks for no PIN, and one that answers for another page.
	_, err := chromedp.Call(r.ctx, webauthn.SetUserVerified,
		webauthn.SetUserVerifiedParams{AuthenticatorID: key, IsUserVerified: false})
	require.NoError(t, err)
	require.Equal(t, "401 security_key_invalid", r.assert("options.userVerification = 'discouraged'"))
	_, err = chromedp.Call(r.ctx, webauthn.SetUserVerified,
		webauthn.SetUserVerifiedParams{AuthenticatorID: key, IsUserVerified: true})
	require.NoError(t, err)
	require.Equal(t, "401 security_key_invalid", r.assert("options.challenge = new Uint8Array(32)"))
	require.Equal(t, "200 ", r.assert(""))
	require.Equal(t, "401 security_key_invalid", r.evaluate(`async () => post('/auth/key', window.last)`), "a replay")

	r.open("/account")
	r.click(`form[action="/account/remove-key"] button`)
	r.says("section[aria-labelledby=keys]", "You have none")
	require.Equal(t, "404 security_key_not_found", r.assert(""), "a key that was removed")
	require.Equal(t, 1, count(t, r.p.dir, `SELECT count(*) FROM audit_log
		WHERE json_extract(CAST(entry AS TEXT), '$.action') = 'account.security_key_removed'`))
}

// assert gives a signature to the API, over options that a script has changed.
func (r *reader) assert(change string) string {
	r.t.Helper()
	return r.evaluate(`async () => {
		const asked = await fetch('/auth/key/options', {method: 'POST'});
		const told = await asked.json();
		if (!asked.ok) return asked.status + ' ' + told.code;
		const options = PublicKeyCredential.parseRequestOptionsFromJSON(told.publicKey);
		` + change + `;
		const credential = await navigator.credentials.get({publicKey: options});
		window.last = {credential: credential.toJSON()};
		return await post('/auth/key', window.last);
	}`)
}

// evaluate runs a function in the page. It has post, which returns status and code.
func (r *reader) evaluate(script string) string {
	r.t.Helper()
	got, err := chromedp.Run(r.ctx, chromedp.Evaluate[string](`(async () => {
		const post = async (path, body) => {
			const answer = await fetch(path, {
				method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body),
			});
			return answer.status + ' ' + ((await answer.json()).code ?? '');
		};
		return await (`+script+`)();
	})()`, chromedp.EvalAwaitPromise))
	require.NoError(r.t, err)
	return got
}

// Every page and form at desktop and phone width, light and dark, with scripts and
// without: each of them once, and with SALLYPORT_SOAK=1 all eight together.
func TestPagesInChromium(t *testing.T) {
	r := newReader(t)
	r.open("/")
	r.factor(r.password())
	r.heading("Your account")
	r.click(`form[action="/account/recovery-codes"] button`)
	r.heading("Recovery codes")
	recovery, err := chromedp.Run(r.ctx, chromedp.Evaluate[[]string](
		`[...document.querySelectorAll('.codes code')].map(e => e.textContent)`))
	require.NoError(t, err)
	r.fits("recovery codes")
	r.open("/account/authenticator")
	r.heading("A new authenticator")
	secret, err := chromedp.Run(r.ctx, chromedp.Value(chromedp.CSS("input[name=secret]")))
	require.NoError(t, err)
	code, err := totp.GenerateCode(secret, time.Now())
	require.NoError(t, err)
	r.factor(code)
	r.says("[role=status]", "has learnt the secret")
	r.click("main .button")
	r.heading("Your account")
	r.click(".who button")
	r.heading("Sign in")
	for _, width := range []int64{1280, 375} {
		for _, theme := range []string{"light", "dark"} {
			for _, scripts := range []bool{true, false} {
				if os.Getenv("SALLYPORT_SOAK") == "" && (theme == "light") != (scripts == (width > 1000)) {
					continue
				}
				r.show(width, theme, scripts)
				r.walk(fmt.Sprintf("%d %s scripts=%v", width, theme, scripts), recovery[0])
				recovery = recovery[1:]
			}
		}
	}
}

// A link in an e-mail, or on another site, leads to the page and not to the sign-in
// page, for whoever is signed in.
func TestALinkFromElsewhereArrivesInChromium(t *testing.T) {
	r := newReader(t)
	r.open("/")
	r.factor(r.password())
	r.heading("Your account")
	elsewhere := blank(t) // another site: by address
	r.do(chromedp.Navigate(elsewhere.URL))
	_, err := chromedp.Run(r.ctx, chromedp.Evaluate[any](
		fmt.Sprintf(`{ const a = document.createElement('a'); a.href = %q; a.textContent = 'go'; document.body.append(a); a.click() }`,
			r.url+"/account")))
	require.NoError(t, err)
	r.heading("Your account")
	r.click(".who button")
	r.heading("Sign in")
	r.do(chromedp.Navigate(elsewhere.URL))
	_, err = chromedp.Run(r.ctx, chromedp.Evaluate[any](fmt.Sprintf(`location.href = %q`, r.url+"/account")))
	require.NoError(t, err)
	r.heading("Sign in")
}

// show sets the browser up.
func (r *reader) show(width int64, theme string, scripts bool) {
	r.t.Helper()
	r.do(chromedp.EmulateViewport(width, 800))
	_, err := chromedp.Call(r.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}},
	})
	require.NoError(r.t, err)
	_, err = chromedp.Call(r.ctx, emulation.SetScriptExecutionDisabled,
		emulation.SetScriptExecutionDisabledParams{Value: !scripts})
	require.NoError(r.t, err)
}

// fits requires that nothing is wider than the window.
func (r *reader) fits(name string) {
	r.t.Helper()
	got, err := chromedp.Run(r.ctx, chromedp.Evaluate[bool](
		`document.documentElement.scrollWidth <= document.documentElement.clientWidth`))
	require.NoError(r.t, err)
	require.True(r.t, got, name)
}

// walk signs in, looks at the account, and signs out, with a mistake at each step.
func (r *reader) walk(name, recovery string) {
	r.t.Helper()
	r.open("/account")
	r.heading("Sign in")
	r.fits(name)
	r.fill("#email", "admin@demo.test")
	r.fill("#password", "not the password")
	r.click("form.stack button")
	r.says("[role=alert]", "wrong")
	r.password()
	r.fits(name)
	r.factor("000000")
	r.says("[role=alert]", "wrong")
	r.factor(recovery)
	r.heading("Somebody has tried")
	r.fits(name)
	r.click("main .button")
	r.heading("Your account")
	r.fits(name)
	for _, page := range sitePages {
		r.click(`nav a[href="` + page.path + `"]`)
		r.heading(page.heading)
		r.fits(name + page.path)
	}
	r.click(".who button")
	r.heading("Sign in")
}

// sitePages are the pages about one site.
var sitePages = []struct{ path, heading string }{
	{"/calls", "Calls"},
	{"/events", "Events"},
	{"/visits", "Visits"},
	{"/watchtower", "Watchtower"},
	{"/audit", "Audit trail"},
	{"/dead", "Dead letters"},
	{"/keys", "API keys"},
}

// A call is sealed and taken back, an API key made and revoked, and the trail has it.
func TestASiteIsRunInChromium(t *testing.T) {
	r := newReader(t)
	visit(t, r.ctx, r.p.DemoURL)
	r.open("/calls")
	r.factor(r.password())
	r.heading("Calls")
	r.click(`form[action="/calls/seal"] button`)
	r.says("tbody", "sealed")
	r.click(`form[action="/calls/undo"] button`)
	r.says("tbody", "intent")

	r.show(375, "dark", false)
	r.open("/keys")
	r.heading("API keys")
	r.fill("#name", "reports")
	r.click(`input[name=scope]`)
	r.click(`form[action="/keys"] button`)
	r.heading("A new API key")
	r.fits("a new key")
	r.click("main .button")
	r.says("tbody", "reports")
	r.fits("keys")
	r.click(`form[action="/keys/revoke"] button`)
	r.says("section[aria-labelledby=list]", "There are none")

	r.open("/audit?action=calls.seal")
	r.heading("Audit trail")
	r.says("tbody", "calls.seal")
	r.fits("records")
}
