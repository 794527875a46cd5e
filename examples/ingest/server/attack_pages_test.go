package server_test

import (
	"net/http"
	"net/url"
	"regexp"

	"github.com/opsmantik/sallyport/tools/gatetest"
)

// inPage finds the code of a refusal in a page that shows it.
var inPage = regexp.MustCompile(`<html lang="en" data-code="([a-z_]+)">`)

// maxForm is what the pages read of a form.
const maxForm = 8 << 10

// form is a route that takes one.
func form(path string, status int, fields ...string) gatetest.Route {
	values := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	return gatetest.Route{
		Pattern: "POST " + path, Body: values.Encode(), MaxBody: maxForm, Status: []int{status},
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
	}
}

// attackedPages are the routes of the pages.
func attackedPages() []gatetest.Route {
	signIn := form("/sign-in", http.StatusSeeOther, "email", "manager@example.test", "password", adminPassword)
	signIn.Public = true
	signOut := form("/sign-out", http.StatusSeeOther)
	signOut.Accept = gatetest.Accepted{
		"nobody":                         "who is not signed in is signed out already",
		"guessed credential":             "likewise",
		"planted cookie":                 "likewise",
		"cookie after the sign-out":      "likewise",
		"cookie from before the sign-in": "likewise",
		"doubled cookie":                 "it signs nobody in, and ends both",
	}
	routes := []gatetest.Route{
		{Pattern: "GET /{$}", Request: "GET /", Public: true, Status: []int{http.StatusSeeOther}},
		{Pattern: "GET /assets/{file}", Request: "GET /assets/page.css", Public: true},
		{Pattern: "GET /sign-in", Public: true},
		signIn,
		signOut,
		{Pattern: "GET /factor"},
		form("/factor", http.StatusUnauthorized, "code", "000000"),
		{Pattern: "GET /account"},
		{Pattern: "GET /account/authenticator"},
		form("/account/authenticator", http.StatusUnprocessableEntity, "secret", totpSecret, "code", "000000"),
		form("/account/end", http.StatusNotFound, "id", "x"),
		form("/account/end-others", http.StatusSeeOther),
		form("/account/remove-key", http.StatusNotFound, "id", "x"),
		form("/account/recovery-codes", http.StatusOK),
	}
	for _, page := range []string{
		"/calls", "/events", "/visits", "/watchtower", "/audit", "/audit/checkpoint", "/dead", "/keys",
	} {
		routes = append(routes, gatetest.Route{
			Pattern: "GET " + page, Request: "GET " + page + "?site_id=" + siteA,
			Other: page + "?site_id=" + siteB,
		})
	}
	seal := form("/calls/{act}", http.StatusNotFound, "site_id", siteA, "id", "33a11c86-2371-4af7-8580-e3f78f56d6a2")
	seal.Request = "POST /calls/seal"
	decide := form("/watchtower", http.StatusNotFound, "site_id", siteA, "alert", "none",
		"action", "acknowledge", "reason", "attack")
	return append(
		routes, seal, decide,
		form("/dead", http.StatusSeeOther, "site_id", siteA),
		form("/keys", http.StatusOK, "site_id", siteA, "name", "attack", "scope", "calls:view"),
		form("/keys/rotate", http.StatusNotFound, "site_id", siteA, "id", "x", "hours", "1"),
		form("/keys/revoke", http.StatusNotFound, "site_id", siteA, "id", "x"),
	)
}
