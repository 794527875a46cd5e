package pages

import (
	"net/http"
	"net/url"
)

// siteView is what a page shows of one site.
type siteView struct {
	Site  site
	Sites []site // those that the reader may choose from
	Rows  any
	Next  string // what ?after= takes for the rows behind these, if there are more
}

// at returns the reader of a page about one site, and the site: that of ?site_id=, or
// the reader's first. Whether they may see it says what the page asks for.
func (p *Pages) at(w http.ResponseWriter, r *http.Request) (*me, siteView, bool) {
	reader, ok := p.who(w, r)
	if !ok {
		return nil, siteView{}, false
	}
	id := r.URL.Query().Get("site_id")
	if id == "" && len(reader.Sites) > 0 {
		id = reader.Sites[0].ID
	}
	if id == "" {
		p.render(w, r, http.StatusOK, view{Page: "nosite", Title: "No site", Me: reader})
		return nil, siteView{}, false
	}
	v := siteView{Site: site{ID: id, Name: id}, Sites: reader.Sites}
	for _, s := range reader.Sites {
		if s.ID == id {
			v.Site = s
		}
	}
	return reader, v, true
}

// ofSite is a path with the site that it is about.
func ofSite(path, site string) string {
	return path + "?" + url.Values{"site_id": {site}}.Encode()
}

// siteAPI is the path of what the API has of a site.
func siteAPI(site, what string) string {
	return "/api/sites/" + url.PathEscape(site) + "/" + what
}
