package gatetest

import (
	"net/http"
	"net/url"
	"strings"
)

// leakAttacks look for what must not be repeated: in the access log, which more
// people read than may, and in a refusal, which a page elsewhere may have caused.
func leakAttacks() []attack {
	const gate = "scrub"
	always := func(*Suite, *Route) bool { return true }
	return []attack{
		{
			name: "secrets in the access log", gate: gate, applies: always,
			fix: "log the pattern and not the URL, no header and no body, or scrub the line",
			run: func(t *trial) []string {
				d, secrets := t.loaded()
				t.genuine(d)
				d, more := t.loaded()
				from(attacker)(t, d)
				t.genuine(d)
				return leaked("access log", t.log.String(), append(secrets, more...))
			},
		},
		{
			name: "secrets in a refusal", gate: gate, applies: always,
			fix: "answer with a code; say nothing of what was sent",
			run: func(t *trial) []string {
				d, secrets := t.loaded()
				from(attacker)(t, d)
				if got := t.genuine(d); got.status >= http.StatusBadRequest {
					return leaked(got.String(), text(got), secrets)
				}
				return nil
			},
		},
	}
}

// text is all that a client sees of an answer.
func text(a answer) string {
	var b strings.Builder
	_ = a.header.Write(&b)
	b.Write(a.body)
	return b.String()
}

// secret is a value and where it was put.
type secret struct{ where, value string }

// loaded is a genuine request with a secret in every place, and those that it has
// anyway: credentials and signature.
func (t *trial) loaded() (*draft, []secret) {
	plain := t.draftOf(func(*http.Request) {})
	d := t.draft()
	var secrets []secret
	add := func(where, value string) { secrets = append(secrets, secret{where, value}) }

	token, email := canary("token"), canary("jane")+"@example.com"
	add("query", token)
	add("query", email)
	query := url.Values{"token": {token}, "email": {email}}.Encode()
	path, had, _ := strings.Cut(d.RequestURI, "?")
	d.retarget(path + "?" + strings.TrimPrefix(had+"&"+query, "&"))

	if d.Header.Get("Authorization") == "" {
		bearer := canary("bearer")
		add("Authorization", bearer)
		d.Header.Set("Authorization", "Bearer "+bearer)
	}
	cookie := canary("cookie")
	add("Cookie", cookie)
	d.AddCookie(&http.Cookie{Name: "gatetest", Value: cookie})
	referer := canary("referer")
	add("Referer", referer)
	d.Header.Set("Referer", attacker+"/?token="+referer)
	t.sign(d)
	for _, name := range added(plain.Header, d.Header) {
		for _, value := range d.Header[name] {
			if len(value) >= 16 && name != "Origin" { // shorter ones are ids and times
				add(name, value)
			}
		}
	}
	return d, secrets
}

// leaked names the places whose secrets are in a text, however escaped.
func leaked(where, text string, secrets []secret) (wrong []string) {
	seen := map[string]bool{}
	for _, s := range secrets {
		found := strings.Contains(text, s.value) || strings.Contains(text, url.QueryEscape(s.value))
		if found && !seen[s.where] {
			seen[s.where] = true
			wrong = append(wrong, where+" has what was in "+s.where)
		}
	}
	return wrong
}
