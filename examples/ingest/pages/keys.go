package pages

import (
	"net/http"
	"net/url"
	"time"
)

// keyRow is an API key as it is listed. Key is the key itself, where it is made.
type keyRow struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Scopes  []string  `json:"scopes"`
	Created time.Time `json:"created_at"`
	Expires time.Time `json:"expires_at"`
	Ends    time.Time `json:"ends_at"`
	Used    time.Time `json:"last_used_at"`
	Key     string    `json:"key"`
}

type keysView struct {
	Keys   []keyRow `json:"keys"`
	Scopes []struct {
		Name string `json:"name"`
		What string `json:"what"`
	} `json:"scopes"`
}

func (p *Pages) keys(w http.ResponseWriter, r *http.Request) {
	reader, v, ok := p.at(w, r)
	if !ok {
		return
	}
	var list keysView
	if !p.read(w, r, siteAPI(v.Site.ID, "keys"), &list) {
		return
	}
	v.Rows = list
	p.render(w, r, http.StatusOK, view{Page: "keys", Title: "API keys", Me: reader, Data: v})
}

func (p *Pages) createKey(w http.ResponseWriter, r *http.Request) {
	if form, ok := p.form(w, r); ok {
		p.makeKey(w, r, form.Get("site_id"), "keys", map[string]any{
			"name": form.Get("name"), "scopes": form["scope"], "days": number(form.Get("days")),
		})
	}
}

func (p *Pages) rotateKey(w http.ResponseWriter, r *http.Request) {
	if form, ok := p.form(w, r); ok {
		what := "keys/" + url.PathEscape(form.Get("id")) + "/rotate"
		p.makeKey(w, r, form.Get("site_id"), what, map[string]any{
			"overlap_hours": number(form.Get("hours")),
		})
	}
}

// makeKey makes a key, and shows it this once.
func (p *Pages) makeKey(w http.ResponseWriter, r *http.Request, site, what string, body any) {
	reader, ok := p.who(w, r)
	if !ok {
		return
	}
	back := ofSite("/keys", site)
	a := p.call(w, r, http.MethodPost, siteAPI(site, what), body)
	var made keyRow
	if !a.ok() || a.into(&made) != nil {
		p.refused(w, r, a.problem(), back)
		return
	}
	p.render(w, r, http.StatusOK, view{
		Page: "newkey", Title: "A new API key", Me: reader, Data: struct {
			keyRow
			Back string
		}{made, back},
	})
}

func (p *Pages) revokeKey(w http.ResponseWriter, r *http.Request) {
	if form, ok := p.form(w, r); ok {
		site := form.Get("site_id")
		path := siteAPI(site, "keys/"+url.PathEscape(form.Get("id")))
		p.do(w, r, http.MethodDelete, path, nil, ofSite("/keys", site))
	}
}
