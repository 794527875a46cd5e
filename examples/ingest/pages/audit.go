package pages

import (
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/opsmantik/sallyport/audit"
)

// record is an entry of the audit trail.
type record struct {
	audit.Record
	Index int64
	Text  string // as it was hashed
}

// auditView is what was searched for, and found.
type auditView struct {
	Action, Actor, Target string
	Records               []record
}

// auditFilters are the searches that the page offers.
var auditFilters = []string{"action", "actor", "target"}

func (p *Pages) audit(w http.ResponseWriter, r *http.Request) {
	reader, v, ok := p.at(w, r)
	if !ok {
		return
	}
	asked, given := url.Values{"site_id": {v.Site.ID}}, r.URL.Query()
	for _, name := range append([]string{"after"}, auditFilters...) {
		if value := given.Get(name); value != "" {
			asked.Set(name, value)
		}
	}
	var list struct {
		Entries []auditRow `json:"entries"`
		Next    string     `json:"next"`
	}
	if !p.read(w, r, "/api/audit?"+asked.Encode(), &list) {
		return
	}
	found := auditView{Action: given.Get("action"), Actor: given.Get("actor"), Target: given.Get("target")}
	for _, row := range list.Entries {
		found.Records = append(found.Records, row.record())
	}
	v.Rows = found
	if list.Next != "" {
		asked.Set("after", list.Next)
		v.Next = "/audit?" + asked.Encode()
	}
	p.render(w, r, http.StatusOK, view{Page: "audit", Title: "Audit trail", Me: reader, Data: v})
}

// checkpoint hands out the signed head of the log, as a file.
func (p *Pages) checkpoint(w http.ResponseWriter, r *http.Request) {
	_, v, ok := p.at(w, r)
	if !ok {
		return
	}
	a := p.call(w, r, http.MethodGet, ofSite("/api/audit/checkpoint", v.Site.ID), nil)
	if !a.ok() {
		p.refused(w, r, a.problem(), here(r))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="checkpoint.txt"`)
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(a.body.Bytes()) // the client may be gone
}

// auditRow is an entry as the API lists it.
type auditRow struct {
	Index int64          `json:"index"`
	Entry jsontext.Value `json:"entry"`
}

// record reads an entry. Of what cannot be read there is the text.
func (a auditRow) record() record {
	row := record{Index: a.Index, Text: string(a.Entry)}
	if said, err := audit.Parse(a.Entry); err == nil {
		row.Record = said
	}
	return row
}
