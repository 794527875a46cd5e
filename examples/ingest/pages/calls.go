package pages

import (
	"net/http"
	"net/url"
	"time"

	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
)

type callRow struct {
	ID       string    `json:"id"`
	Phone    string    `json:"phone"`
	Action   string    `json:"action"`
	URL      string    `json:"url"`
	Status   string    `json:"status"`
	Received time.Time `json:"received_at"`
}

func (p *Pages) calls(w http.ResponseWriter, r *http.Request) {
	reader, v, ok := p.at(w, r)
	if !ok {
		return
	}
	var list struct {
		Calls []callRow `json:"calls"`
	}
	if !p.read(w, r, siteAPI(v.Site.ID, "calls"), &list) {
		return
	}
	v.Rows = list.Calls
	p.render(w, r, http.StatusOK, view{Page: "calls", Title: "Calls", Me: reader, Data: v})
}

// actsOn are the acts that are offered for a call of a status.
func actsOn(status string) []link {
	if status == store.Intent {
		return []link{{"seal", "Seal"}, {"junk", "Junk"}}
	}
	return []link{{"undo", "Undo"}}
}

// acts are what can be done to a call.
var acts = map[string]bool{"seal": true, "junk": true, "undo": true}

func (p *Pages) actOnCall(w http.ResponseWriter, r *http.Request) {
	form, ok := p.form(w, r)
	if !ok {
		return
	}
	act := r.PathValue("act")
	if !acts[act] {
		p.refused(w, r, problem{
			Status: http.StatusNotFound, Code: tenancy.CodeNotFound, Title: "There is nothing here",
		}, "/calls")
		return
	}
	path := "/api/calls/" + url.PathEscape(form.Get("id")) + "/" + act
	p.do(w, r, http.MethodPost, path, nil, ofSite("/calls", form.Get("site_id")))
}
