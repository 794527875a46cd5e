// Package apikeys lets the admins of a site make, list, rotate and revoke the API keys of
// machine clients: scripts that read a site's calls and events without a person.
//
// A key acts for the admin who made it, on one site, within its scopes, and only where a
// route says so. It makes no keys and changes nothing: what needs a person takes a
// session. See package apikey for what a key is, and the routes in package server for
// where one is accepted.
package apikeys

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/ingest/calls"
	"github.com/opsmantik/sallyport/examples/ingest/delivery"
	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/apikey"
)

const (
	// maxKeys is how many keys of a site may be in use at once.
	maxKeys = 100
	// maxBody bounds a request.
	maxBody = 4096
	day     = 24 * time.Hour
)

// Manage is the permission to make and end a site's keys.
type Manage struct{}

// Permission names the permission.
func (Manage) Permission() string { return "keys:manage" }

// Scope is what a key may be made for.
type Scope struct {
	Name string `json:"name"`
	What string `json:"what"` // the routes that it opens
}

// Scopes are all that a key can have. Each reads, and none changes anything.
func Scopes() []Scope {
	const site = "GET /api/sites/{site_id}/"
	return []Scope{
		{calls.View{}.Permission(), site + "calls"},
		{
			calls.ViewEvents{}.Permission(),
			site + "events, " + site + "visits, " + site + "visits/{visit_id}",
		},
		{delivery.View{}.Permission(), "GET /api/queue/dead"},
	}
}

// Known reports whether a key may have a scope, whoever makes it.
func Known(scope string) bool {
	return slices.ContainsFunc(Scopes(), func(s Scope) bool { return s.Name == scope })
}

// Keys holds the handlers.
type Keys struct {
	Gate  *apikey.Gate
	Store store.APIKeys
	// Who is the person behind a request, as the grant was made out to.
	Who func(*http.Request) (sallyport.Principal, error)
	Log *slog.Logger
}

// row is a key as it is listed: never the key itself.
type row struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	User     string    `json:"user"`
	Scopes   []string  `json:"scopes"`
	Created  time.Time `json:"created_at"`
	Expires  time.Time `json:"expires_at"`       // or ends, whichever comes first
	Ends     time.Time `json:"ends_at,omitzero"` // after a rotation
	LastUsed time.Time `json:"last_used_at,omitzero"`
	Key      string    `json:"key,omitzero"` // where it is made, and never again
}

func rowOf(r apikey.Record) row {
	return row{
		ID: r.ID, Name: r.Name, User: r.User, Scopes: store.KeyPermissions(r.Scopes),
		Created: r.Created, Expires: r.Expires, Ends: r.Revoked, LastUsed: r.LastUsed,
	}
}

// List answers GET /api/sites/{site_id}/keys: the keys that have not ended, and the
// scopes that there are.
func (k *Keys) List(w http.ResponseWriter, r *http.Request, g tenancy.Grant[Manage]) {
	records, ok := k.records(w, r, g)
	if !ok {
		return
	}
	rows := make([]row, len(records))
	for i, record := range records {
		rows[i] = rowOf(record)
	}
	reply.JSON(w, http.StatusOK, map[string]any{"keys": rows, "scopes": Scopes()})
}

// Create answers POST /api/sites/{site_id}/keys {"name","scopes","days"}. The key is in
// the answer, and nowhere else.
func (k *Keys) Create(w http.ResponseWriter, r *http.Request, g tenancy.Grant[Manage]) {
	var given struct {
		Name   string   `json:"name"`
		Scopes []string `json:"scopes"`
		Days   int      `json:"days"` // 0 is the most that there may be
	}
	if !decode(w, r, &given) {
		return
	}
	unknown := func(scope string) bool { return !Known(scope) }
	if len(given.Scopes) == 0 || slices.ContainsFunc(given.Scopes, unknown) ||
		given.Days < 0 || given.Days > maxDays {
		refuse(w)
		return
	}
	records, ok := k.records(w, r, g)
	if !ok || k.full(w, records) {
		return
	}
	scopes := append([]string{store.SiteScope(g.Site())}, given.Scopes...)
	who, err := k.Who(r)
	if err != nil {
		k.failed(w, r, err)
		return
	}
	key, record, err := k.Gate.Issue(by(r, g, ""), who, given.Name, scopes,
		time.Duration(given.Days)*day)
	k.made(w, r, key, record, err)
}

// maxDays keeps a number from becoming another one.
const maxDays = 3650

// Rotate answers POST /api/sites/{site_id}/keys/{key_id}/rotate {"overlap_hours"}: a new
// key like the old, which works on for that long. Only whose key it is can: a key acts
// for who made it.
func (k *Keys) Rotate(w http.ResponseWriter, r *http.Request, g tenancy.Grant[Manage]) {
	var given struct {
		Hours int `json:"overlap_hours"`
	}
	if !decode(w, r, &given) {
		return
	}
	if given.Hours < 0 || given.Hours > maxOverlapHours {
		refuse(w)
		return
	}
	records, ok := k.records(w, r, g)
	if !ok {
		return
	}
	old, ok := find(w, r, records)
	if !ok || k.full(w, records) {
		return
	}
	who, err := k.Who(r)
	if err != nil {
		k.failed(w, r, err)
		return
	}
	key, record, err := k.Gate.Rotate(by(r, g, old.ID), who, old,
		time.Duration(given.Hours)*time.Hour)
	k.made(w, r, key, record, err)
}

// maxOverlapHours is a week, the most that package apikey allows.
const maxOverlapHours = 7 * 24

// Revoke answers DELETE /api/sites/{site_id}/keys/{key_id}: whichever admin's key it is.
func (k *Keys) Revoke(w http.ResponseWriter, r *http.Request, g tenancy.Grant[Manage]) {
	records, ok := k.records(w, r, g)
	if !ok {
		return
	}
	record, ok := find(w, r, records)
	if !ok {
		return
	}
	err := k.Gate.Revoke(by(r, g, ""), record.User, record.ID)
	switch {
	case errors.Is(err, apikey.ErrNotFound):
		notFound(w)
	case err != nil:
		k.failed(w, r, err)
	default:
		reply.JSON(w, http.StatusOK, map[string]any{"ok": true, "id": record.ID})
	}
}

// records are the keys of the site, all of them: what is bound to another site is not
// found, whatever its id.
func (k *Keys) records(
	w http.ResponseWriter, r *http.Request, g tenancy.Grant[Manage],
) ([]apikey.Record, bool) {
	records, err := k.Store.List(r.Context(), g.Scope(), time.Now(), 2*maxKeys)
	if err != nil {
		k.failed(w, r, err)
		return nil, false
	}
	return records, true
}

func find(w http.ResponseWriter, r *http.Request, all []apikey.Record) (apikey.Record, bool) {
	id := r.PathValue("key_id")
	i := slices.IndexFunc(all, func(r apikey.Record) bool { return r.ID == id })
	if i < 0 {
		notFound(w)
		return apikey.Record{}, false
	}
	return all[i], true
}

func notFound(w http.ResponseWriter) {
	reply.Problem(w, http.StatusNotFound, tenancy.CodeNotFound, "There is nothing here")
}

func (k *Keys) full(w http.ResponseWriter, records []apikey.Record) bool {
	if len(records) < maxKeys {
		return false
	}
	reply.Problem(w, http.StatusConflict, reply.CodeAPIKeysFull, "Revoke a key first")
	return true
}

// made answers with a new key. What is wrong with the request is not told apart from who
// may not: the journal says it.
func (k *Keys) made(
	w http.ResponseWriter, r *http.Request, key string, record apikey.Record, err error,
) {
	if err != nil {
		k.failed(w, r, err)
		return
	}
	made := rowOf(record)
	made.Key = key
	reply.JSON(w, http.StatusCreated, made)
}

func refuse(w http.ResponseWriter) {
	reply.Problem(w, http.StatusForbidden, apikey.CodeNotIssued, "API key not issued")
}

func (k *Keys) failed(w http.ResponseWriter, r *http.Request, err error) {
	refused, ok := errors.AsType[*sallyport.Refusal](err)
	if !ok || refused.Status >= http.StatusInternalServerError {
		k.Log.ErrorContext(r.Context(), "API keys unavailable", "error", err)
	}
	if ok {
		refused.Write(w)
		return
	}
	reply.Unavailable(w, reply.CodeStoreUnavailable, "The store does not answer; try again")
}

// by says for the audit log who acts. A client that hangs up does not undo it.
func by(r *http.Request, g tenancy.Grant[Manage], replaces string) context.Context {
	return context.WithValue(context.WithoutCancel(r.Context()), acting{},
		acting{g.User(), g.Site(), replaces})
}

// decode reads a small, strict JSON body.
func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		reply.BodyError(w, err)
		return false
	}
	if err := json.Unmarshal(text, into, json.RejectUnknownMembers(true)); err != nil {
		reply.Problem(w, http.StatusUnprocessableEntity, event.CodeWrongShape,
			"The body has another shape")
		return false
	}
	return true
}
