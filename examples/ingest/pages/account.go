package pages

import (
	"net/http"
	"net/url"
	"time"
)

// accountView is what a reader sees of their own account.
type accountView struct {
	Sessions []struct {
		ID       string    `json:"id"`
		Current  bool      `json:"current"`
		Client   string    `json:"client"`
		Level    string    `json:"level"`
		SignedIn time.Time `json:"signed_in_at"`
		Seen     time.Time `json:"last_seen_at"`
		Expires  time.Time `json:"expires_at"`
	} `json:"sessions"`
	Keys []struct {
		ID      string    `json:"id"`
		Name    string    `json:"name"`
		Created time.Time `json:"created_at"`
		Used    time.Time `json:"used_at"`
	} `json:"keys"`
}

func (p *Pages) account(w http.ResponseWriter, r *http.Request) {
	reader, ok := p.who(w, r)
	if !ok {
		return
	}
	var v accountView
	if !p.read(w, r, "/auth/sessions", &v) || !p.read(w, r, "/auth/keys", &v) {
		return
	}
	p.render(w, r, http.StatusOK, view{Page: "account", Title: "Your account", Me: reader, Data: v})
}

func (p *Pages) endSession(w http.ResponseWriter, r *http.Request) {
	if form, ok := p.form(w, r); ok {
		path := "/auth/sessions/" + url.PathEscape(form.Get("id"))
		p.do(w, r, http.MethodDelete, path, nil, "/account")
	}
}

func (p *Pages) endOthers(w http.ResponseWriter, r *http.Request) {
	p.do(w, r, http.MethodDelete, "/auth/sessions", nil, "/account")
}

func (p *Pages) removeKey(w http.ResponseWriter, r *http.Request) {
	if form, ok := p.form(w, r); ok {
		p.do(w, r, http.MethodDelete, "/auth/keys/"+url.PathEscape(form.Get("id")), nil, "/account")
	}
}

// recoveryCodes shows new recovery codes, once.
func (p *Pages) recoveryCodes(w http.ResponseWriter, r *http.Request) {
	reader, ok := p.who(w, r)
	if !ok {
		return
	}
	a := p.call(w, r, http.MethodPost, "/auth/recovery", nil)
	var made struct {
		Codes []string `json:"recovery_codes"`
	}
	if !a.ok() || a.into(&made) != nil {
		p.refused(w, r, a.problem(), "/account")
		return
	}
	p.render(w, r, http.StatusOK, view{
		Page: "recovery", Title: "Recovery codes", Me: reader, Data: made.Codes,
	})
}
