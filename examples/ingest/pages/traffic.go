package pages

import (
	"net/http"
	"net/url"
	"time"
)

type eventRow struct {
	ID       string    `json:"id"`
	Visit    string    `json:"visit_id"`
	Category string    `json:"category"`
	Action   string    `json:"action"`
	Label    string    `json:"label"`
	URL      string    `json:"url"`
	Received time.Time `json:"received_at"`
}

func (p *Pages) events(w http.ResponseWriter, r *http.Request) {
	reader, v, ok := p.at(w, r)
	if !ok {
		return
	}
	var list struct {
		Events []eventRow `json:"events"`
	}
	if !p.read(w, r, siteAPI(v.Site.ID, "events"), &list) {
		return
	}
	v.Rows = list.Events
	p.render(w, r, http.StatusOK, view{Page: "events", Title: "Events", Me: reader, Data: v})
}

type visitRow struct {
	ID      string    `json:"id"`
	Session string    `json:"session_id"`
	First   time.Time `json:"first_at"`
	Last    time.Time `json:"last_at"`
	Events  int64     `json:"events"`
}

func (p *Pages) visits(w http.ResponseWriter, r *http.Request) {
	reader, v, ok := p.at(w, r)
	if !ok {
		return
	}
	path := siteAPI(v.Site.ID, "visits")
	if after := r.URL.Query().Get("after"); after != "" {
		path += "?" + url.Values{"after": {after}}.Encode()
	}
	var list struct {
		Visits []visitRow `json:"visits"`
		Next   string     `json:"next"`
	}
	if !p.read(w, r, path, &list) {
		return
	}
	v.Rows, v.Next = list.Visits, list.Next
	p.render(w, r, http.StatusOK, view{Page: "visits", Title: "Visits", Me: reader, Data: v})
}
