package gatetest

import (
	"net/http"
	"slices"
	"strings"
)

// sessionAttacks are about the cookie that a sign-in sets. Users who have none, but a
// key, are not tried.
func sessionAttacks() []attack {
	isPrivate := func(_ *Suite, r *Route) bool { return !r.Public }
	signsOut := func(s *Suite, r *Route) bool { return !r.Public && s.SignOut != nil }
	const fresh = "issue a new token at every sign-in, and end the session that the client " +
		"presented, as sessions.Manager.Start does"
	return []attack{
		{
			name: "doubled cookie", gate: "sessions", applies: isPrivate,
			fix: "refuse requests with two cookies of the session's name: one of them is planted",
			run: doubled,
		},
		{
			name: "planted cookie", gate: "sessions", fix: fresh, applies: isPrivate,
			run: func(t *trial) []string { return t.afterPlanting(altered) },
		},
		{
			name: "cookie from before the sign-in", gate: "sessions", fix: fresh, applies: isPrivate,
			run: func(t *trial) []string {
				return t.afterPlanting(func(value string) string { return value })
			},
		},
		{
			name: "cookie that others can read or set", gate: "sessions", applies: isPrivate,
			fix: `set the cookie as sessions.Manager does: "__Host-" name, Secure, HttpOnly, ` +
				"SameSite, Path=/, no Domain",
			run: attributes,
		},
		{
			name: "cookie after the sign-out", gate: "sessions", applies: signsOut,
			fix: "end the session in the store, as sessions.Manager.Logout does, not only the cookie",
			run: func(t *trial) []string {
				t.tb.Helper()
				d := t.draft()
				t.suite.SignOut(t.tb, t.server, t.users[0])
				t.sign(d)
				return t.mustRefuse(d.Request, anonymous)
			},
		},
	}
}

// credentials are the cookies that signing in adds to a request.
func (t *trial) credentials(user func(*http.Request)) []*http.Cookie {
	before := t.draftOf(func(*http.Request) {}).Cookies()
	return slices.DeleteFunc(t.draftOf(user).Cookies(), func(c *http.Cookie) bool {
		return slices.ContainsFunc(before, func(b *http.Cookie) bool { return b.Name == c.Name })
	})
}

// doubled adds a second cookie of the same name, before and after the user's, in one
// header line and in two.
func doubled(t *trial) (wrong []string) {
	for _, c := range t.credentials(t.users[0]) {
		own, planted := c.Name+"="+c.Value, c.Name+"="+altered(c.Value)
		for name, lines := range map[string][]string{
			"before":          {planted + "; " + own},
			"after":           {own + "; " + planted},
			"in another line": {own, planted},
		} {
			d := t.draft()
			t.sign(d)
			d.Header["Cookie"] = lines
			// Which session it is cannot be told: then it is none, to who asks for identity.
			codes := []string{"session_duplicate", "identity_required"}
			for _, text := range t.mustRefuse(d.Request, codes) {
				wrong = append(wrong, c.Name+" "+name+": "+text)
			}
		}
	}
	return wrong
}

// afterPlanting signs the first user in once more, with a browser that already has a
// cookie made of the last one, and asks with that one.
func (t *trial) afterPlanting(make func(value string) string) (wrong []string) {
	t.tb.Helper()
	for _, c := range t.credentials(t.users[0]) {
		planted := &http.Cookie{Name: c.Name, Value: make(c.Value)}
		t.signIn(t.tb, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := r.Cookie(planted.Name); err != nil {
				r.AddCookie(planted)
			}
			t.server.ServeHTTP(w, r)
		}))
		d := t.draftOf(func(r *http.Request) { r.AddCookie(planted) })
		t.sign(d)
		for _, text := range t.mustRefuse(d.Request, anonymous) {
			wrong = append(wrong, c.Name+": "+text)
		}
	}
	return wrong
}

// attributes looks at what the sign-in sets.
func attributes(t *trial) (wrong []string) {
	t.tb.Helper()
	var set []*http.Cookie
	user := t.signIn(t.tb, http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			t.server.ServeHTTP(w, r)
			set = append(set, (&http.Response{Header: w.Header()}).Cookies()...)
		}))
	credentials := t.credentials(user)
	for _, c := range set {
		used := slices.ContainsFunc(credentials, func(o *http.Cookie) bool { return o.Name == c.Name })
		if used && c.Value != "" {
			if lacks := missing(c); len(lacks) > 0 {
				wrong = append(wrong, c.Name+": "+strings.Join(lacks, ", "))
			}
		}
	}
	return wrong
}

// missing says what a session's cookie lacks (OWASP ASVS 5.0, 3.3.1 to 3.3.4).
func missing(c *http.Cookie) (lacks []string) {
	for what, ok := range map[string]bool{
		"a name that begins with __Host-": strings.HasPrefix(c.Name, "__Host-"),
		"Secure":                          c.Secure,
		"HttpOnly":                        c.HttpOnly,
		"Path=/":                          c.Path == "/",
		"no Domain":                       c.Domain == "",
		"SameSite=Strict or Lax": c.SameSite == http.SameSiteStrictMode ||
			c.SameSite == http.SameSiteLaxMode,
	} {
		if !ok {
			lacks = append(lacks, "wants "+what)
		}
	}
	slices.Sort(lacks)
	return lacks
}
