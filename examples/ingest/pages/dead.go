package pages

import (
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

type deadRow struct {
	ID    string         `json:"id"`
	Dead  time.Time      `json:"dead_at"`
	Event jsontext.Value `json:"event"`
}

// Text is the event as it is stored.
func (d deadRow) Text() string { return string(d.Event) }

func (p *Pages) dead(w http.ResponseWriter, r *http.Request) {
	reader, v, ok := p.at(w, r)
	if !ok {
		return
	}
	var list struct {
		Dead []deadRow `json:"dead"`
	}
	if !p.read(w, r, ofSite("/api/queue/dead", v.Site.ID), &list) {
		return
	}
	v.Rows = list.Dead
	p.render(w, r, http.StatusOK, view{Page: "dead", Title: "Dead letters", Me: reader, Data: v})
}

func (p *Pages) replay(w http.ResponseWriter, r *http.Request) {
	if form, ok := p.form(w, r); ok {
		site := form.Get("site_id")
		path := ofSite("/api/queue/dead/replay", site)
		p.do(w, r, http.MethodPost, path, nil, ofSite("/dead", site))
	}
}
