package calls

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
)

// visitsPerPage is how many visits a page of the list has.
const visitsPerPage = 100

// Visits answers GET /api/sites/{site_id}/visits, the newest first. Where there are
// more, next is what ?after= takes for the page behind this one.
func (c *Calls) Visits(w http.ResponseWriter, r *http.Request, g tenancy.Grant[ViewEvents]) {
	after, ok := visitPlace(r.URL.Query().Get("after"))
	if !ok {
		reply.Problem(w, http.StatusBadRequest, reply.CodePageUnknown, "There is no such page")
		return
	}
	rows, err := c.Store.Visits(r.Context(), g.Scope(), after, visitsPerPage)
	if err != nil {
		c.unavailable(w, r, err)
		return
	}
	page := map[string]any{"visits": rows}
	if len(rows) == visitsPerPage {
		last := rows[len(rows)-1]
		page["next"] = strconv.FormatInt(last.FirstAt.UnixMilli(), 10) + "." + last.ID
	}
	reply.JSON(w, http.StatusOK, page)
}

// visitPlace reads what next said.
func visitPlace(text string) (place store.VisitPlace, ok bool) {
	if text == "" {
		return store.VisitPlace{}, true
	}
	at, id, _ := strings.Cut(text, ".")
	milli, err := strconv.ParseInt(at, 10, 64)
	if err != nil || milli < 0 || id == "" || len(id) > 64 {
		return store.VisitPlace{}, false
	}
	return store.VisitPlace{FirstAt: time.UnixMilli(milli).UTC(), ID: id}, true
}

// Visit answers GET /api/sites/{site_id}/visits/{visit_id}: its events, the first
// one first. A visit of another site has none, as one that is not there.
func (c *Calls) Visit(w http.ResponseWriter, r *http.Request, g tenancy.Grant[ViewEvents]) {
	rows, err := c.Store.VisitEvents(r.Context(), g.Scope(), r.PathValue("visit_id"), listLimit)
	if err == nil && len(rows) == 0 {
		reply.Problem(w, http.StatusNotFound, tenancy.CodeNotFound, "There is nothing here")
		return
	}
	c.list(w, r, "events", rows, err)
}
