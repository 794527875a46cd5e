// Package pages is the server in a browser: HTML without a build step, whole without
// scripts, under a policy that allows none but its own files.
//
// The pages have no authority of their own. What they show and do they ask of the
// routes under /auth and /api, within the process, with the cookies and headers of
// the browser's own request and through all the gates that stand in front of those
// routes. A page can show nothing that its reader could not have asked for.
//
// A page is a template in templates and a file of Go beside this one. It calls
// [Pages.who], then [Pages.read] for what it shows, and [Pages.render]; a form posts
// to a handler that calls [Pages.do]. Each of these answers by itself when the reader
// has to sign in first, to give another factor, or to try again.
package pages

import (
	"errors"
	"fmt"
	"net/http"
)

// Config configures Pages.
type Config struct {
	// API has the routes under /auth and /api, behind their gates. Required.
	API http.Handler
	// Demo, if set, is shown on the sign-in page.
	Demo *Demo
}

// Pages makes the pages.
type Pages struct {
	cfg       Config
	templates templates
	assets    assets
}

// New returns the pages.
func New(cfg Config) (*Pages, error) {
	if cfg.API == nil {
		return nil, errors.New("pages: API is missing")
	}
	p := &Pages{cfg: cfg}
	var err error
	if p.assets, err = loadAssets(); err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	if p.templates, err = parseTemplates(p.assets); err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	return p, nil
}

// Routes are the handlers by pattern. They belong behind gates that let the server's
// own pages in, and forms.
func (p *Pages) Routes() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /{$}":                     http.HandlerFunc(p.home),
		"GET /assets/{file}":           http.HandlerFunc(p.assets.serve),
		"GET /sign-in":                 http.HandlerFunc(p.signIn),
		"POST /sign-in":                http.HandlerFunc(p.signedIn),
		"GET /factor":                  http.HandlerFunc(p.renew),
		"POST /factor":                 http.HandlerFunc(p.factor),
		"POST /sign-out":               http.HandlerFunc(p.signOut),
		"GET /account":                 http.HandlerFunc(p.account),
		"GET /account/authenticator":   http.HandlerFunc(p.newAuthenticator),
		"POST /account/authenticator":  http.HandlerFunc(p.tryAuthenticator),
		"POST /account/end":            http.HandlerFunc(p.endSession),
		"POST /account/end-others":     http.HandlerFunc(p.endOthers),
		"POST /account/remove-key":     http.HandlerFunc(p.removeKey),
		"POST /account/recovery-codes": http.HandlerFunc(p.recoveryCodes),
		"GET /calls":                   http.HandlerFunc(p.calls),
		"POST /calls/{act}":            http.HandlerFunc(p.actOnCall),
		"GET /events":                  http.HandlerFunc(p.events),
		"GET /visits":                  http.HandlerFunc(p.visits),
		"GET /watchtower":              http.HandlerFunc(p.watchtower),
		"POST /watchtower":             http.HandlerFunc(p.decide),
		"GET /audit":                   http.HandlerFunc(p.audit),
		"GET /audit/checkpoint":        http.HandlerFunc(p.checkpoint),
		"GET /dead":                    http.HandlerFunc(p.dead),
		"POST /dead":                   http.HandlerFunc(p.replay),
		"GET /keys":                    http.HandlerFunc(p.keys),
		"POST /keys":                   http.HandlerFunc(p.createKey),
		"POST /keys/rotate":            http.HandlerFunc(p.rotateKey),
		"POST /keys/revoke":            http.HandlerFunc(p.revokeKey),
	}
}

// navigation is what the head of each page leads to, in this order.
var navigation = []link{
	{"/account", "Your account"},
	{"/calls", "Calls"},
	{"/events", "Events"},
	{"/visits", "Visits"},
	{"/watchtower", "Watchtower"},
	{"/audit", "Audit trail"},
	{"/dead", "Dead letters"},
	{"/keys", "API keys"},
}

type link struct{ Path, Text string }

// home leads to the first page.
func (p *Pages) home(w http.ResponseWriter, r *http.Request) {
	redirect(w, r, navigation[0].Path)
}
