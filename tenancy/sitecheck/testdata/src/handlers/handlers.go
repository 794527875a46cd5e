package handlers

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"example.com/params"
	"example.com/store"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/rls"
)

type View struct{}

func (View) Permission() string { return "view" }

var (
	calls   *store.Store
	db      *sql.DB
	scoped  *rls.DB
	service *rls.ServiceDB
	gate    *tenancy.Gate
)

type body struct {
	Site string `json:"site_id"`
	Call string `json:"call_id"`
	Note string `json:"note"`
}

type query struct {
	Org string `form:"org_id"`
}

func siteOf(r *http.Request) string { return r.PathValue("site_id") } // want siteOf:"reads site_id"

func named(r *http.Request, name string) string { return strings.TrimSpace(r.FormValue(name)) } // want named:"reads "

func trimmed(r *http.Request) string { // want trimmed:"reads site"
	site := r.URL.Query().Get("site")
	if site == "" {
		return ""
	}
	return strings.ToLower(site)
}

func decode(r *http.Request, v any) error { return json.NewDecoder(r.Body).Decode(v) }

func parse(text string) ([16]byte, error) { return [16]byte{}, nil }

func around0(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	site := r.PathValue("site_id")
	_, _ = calls.Calls(ctx, site) // want `around: `
}

func around1(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	_, _ = calls.Calls(ctx, r.PathValue("site_id")) // want `around: `
}

func around2(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	_, _ = calls.Calls(ctx, r.URL.Query().Get("site")) // want `around: `
}

func around3(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	_, _ = calls.Calls(ctx, r.Header.Get("X-Site-Id")) // want `around: `
}

func around4(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	_, _ = calls.Calls(ctx, r.FormValue("tenant_id")) // want `around: `
}

func around5(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	_, _ = calls.Calls(ctx, r.PostFormValue("org_id")) // want `around: `
}

func around6(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	q := r.URL.Query()
	_, _ = calls.Calls(ctx, q.Get("organization_id")) // want `around: `
}

func around7(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	h := r.Header
	_, _ = calls.Calls(ctx, h.Get("X-Tenant-ID")) // want `around: `
}

func around8(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	_, _ = calls.Calls(ctx, chi.URLParam(r, "workspace_id")) // want `around: `
}

func around9(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	_, _ = calls.Calls(ctx, siteOf(r)) // want `around: `
}

func around10(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	_, _ = calls.Calls(ctx, named(r, "site_id")) // want `around: `
}

func around11(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	_, _ = calls.Calls(ctx, trimmed(r)) // want `around: `
}

func around12(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	_, _ = calls.Calls(ctx, params.Site(r)) // want `around: `
}

func around13(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	_, _ = calls.Calls(ctx, params.Named(r, "site_id")) // want `around: `
}

func around14(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	_, _ = calls.Calls(ctx, params.Outer(r)) // want `around: `
}

func around15(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	var b body
	_ = decode(r, &b)
	_, _ = calls.Calls(ctx, b.Site) // want `around: `
}

func around16(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	b := new(body)
	_ = decode(r, b)
	_, _ = calls.Calls(ctx, b.Site) // want `around: `
}

func around17(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	var b struct {
		Tenant string `json:"tenant_id"`
	}
	_ = decode(r, &b)
	_, _ = calls.Calls(ctx, b.Tenant) // want `around: `
}

func around18(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	site, err := parse(r.PathValue("site_id"))
	_ = err
	_, _ = calls.Calls(ctx, string(site[:])) // want `around: `
}

func around19(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	a := r.PathValue("site_id")
	b := a
	c := strings.ToLower(b)
	_, _ = calls.Calls(ctx, c) // want `around: `
}

func around20(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	_, _ = db.QueryContext(ctx, "select * from calls where site_id = $1", r.PathValue("site_id")) // want `around: `
}

func around21(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	_, _ = db.Exec("delete from calls where site_id = $1", r.PathValue("site_id")) // want `around: `
}

func around22(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	p := store.Params{SiteID: r.PathValue("site_id")}
	_, _ = calls.Find(ctx, p) // want `around: `
}

func around23(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	_, _ = calls.Find(ctx, store.Params{SiteID: siteOf(r), ID: "x"}) // want `around: `
}

func around24(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	p := &store.Params{SiteID: r.PathValue("site_id")}
	_, _ = calls.Find(ctx, *p) // want `around: `
}

func around25(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	var site string
	if r.Method == "GET" {
		site = r.PathValue("site_id")
	}
	_, _ = calls.Calls(ctx, site) // want `around: `
}

func around26(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	key := "prefix:" + r.PathValue("site_id")
	_, _ = calls.Calls(ctx, key) // want `around: `
}

func around27(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	run := calls.Calls
	_, _ = run(ctx, r.PathValue("site_id")) // want `around: `
}

func child28(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	_, _ = calls.Call(ctx, r.PathValue("id")) // want `child: `
}

func child29(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	id := chi.URLParam(r, "call_id")
	_, _ = calls.Call(ctx, id) // want `child: `
}

func child30(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	_ = calls.Delete(r.PathValue("id")) // want `child: `
}

func child31(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	var b body
	_ = decode(r, &b)
	_, _ = calls.Call(ctx, b.Call) // want `child: `
}

func child32(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	_, _ = db.QueryContext(ctx, "select * from calls where id = $1", r.PathValue("id")) // want `child: `
}

func child33(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	id, err := parse(r.PathValue("id"))
	_ = err
	_, _ = calls.Call(ctx, string(id[:])) // want `child: `
}

func child34(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	_, _ = calls.Call(ctx, named(r, "callID")) // want `child: `
}

func child35(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	_, _ = calls.Call(ctx, params.Named(r, "id")) // want `child: `
}

func child36(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_ = ctx
	id := strings.TrimSpace(r.URL.Query().Get("id"))
	_, _ = calls.Call(ctx, id) // want `child: `
}

// gated has a proof, and does not use it.
func gated(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[View]) {
	_, _ = calls.Call(r.Context(), r.PathValue("id"))       // want `child: `
	_, _ = calls.Calls(r.Context(), r.PathValue("site_id")) // want `around: `
}

func checked(w http.ResponseWriter, r *http.Request) {
	grant, err := tenancy.Check[View](gate, r)
	if err != nil {
		return
	}
	_ = grant
	_, _ = calls.Call(r.Context(), r.PathValue("id")) // want `child: `
}

func ginAround(c *gin.Context) {
	_, _ = calls.Calls(c.Ctx(), c.Param("site_id")) // want `around: `
}

func ginChild(c *gin.Context) {
	_, _ = calls.Call(c.Ctx(), c.Param("id")) // want `child: `
}

func ginHeader(c *gin.Context) {
	_, _ = calls.Calls(c.Ctx(), c.GetHeader("X-Tenant-Id")) // want `around: `
}

func inside() http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = calls.Calls(r.Context(), r.PathValue("site_id")) // want `around: `
	}
}

type server struct{ store *store.Store }

func (s *server) method(w http.ResponseWriter, r *http.Request) {
	_, _ = s.store.Calls(r.Context(), r.PathValue("site_id")) // want `around: `
}

// helper has no writer, and reads the request all the same.
func helper(ctx context.Context, r *http.Request) {
	_, _ = calls.Calls(ctx, r.PathValue("site_id")) // want `around: `
}

var kept tenancy.Scope                        // want `literal: `
var grants = map[string]tenancy.Grant[View]{} // want `literal: `
var last struct{ scope *tenancy.Scope }       // want `literal: `
var service2 tenancy.ServiceScope             // want `literal: `

func literals() {
	_, _ = calls.ScopedCalls(context.Background(), tenancy.Scope{}) // want `literal: `
	g := tenancy.Grant[View]{}                                      // want `literal: `
	_ = g
	_ = new(tenancy.Scope)            // want `literal: `
	_ = &tenancy.ServiceGrant[View]{} // want `literal: `
}

func serviceFromHandler(w http.ResponseWriter, r *http.Request) {
	g, _ := tenancy.AuthorizeService[View](r.Context(), gate, "purge", "x") // want `service: `
	_ = service.Tx(r.Context(), g.Scope(), nil)                             // want `service: `
}

type workers struct{ db *rls.ServiceDB }

func (x *workers) page(w http.ResponseWriter, r *http.Request) {
	_ = x.db.Tx(r.Context(), tenancy.ServiceScope{}, nil) // want `service: ` `literal: `
}

func macs(key, body, given []byte, text string) bool {
	m := hmac.New(sha256.New, key)
	m.Write(body)
	sum := m.Sum(nil)
	if hex.EncodeToString(sum) == text { // want `secret: `
		return true
	}
	expected := hex.EncodeToString(m.Sum(nil))
	if text != expected { // want `secret: `
		return false
	}
	if bytes.Equal(sum, given) { // want `secret: `
		return true
	}
	if strings.EqualFold(expected, text) { // want `secret: `
		return true
	}
	if reflect.DeepEqual(sum, given) { // want `secret: `
		return true
	}
	switch expected { // want `secret: `
	case text:
		return true
	}
	return "sha256="+expected == text // want `secret: `
}

func secrets(a, b hmacsig.Secret) bool {
	return a == b // want `secret: `
}

func statements(ctx context.Context, tx rls.Tx, name string) {
	_ = tx.Exec(ctx, "select "+name)                 // want `sql: `
	_ = tx.Exec(ctx, fmt.Sprintf("select %s", name)) // want `sql: `
	b := &rls.Batch{}
	b.Query(nil, "select * from calls where note = '"+name+"'") // want `sql: `
	text := "select 1"
	text += name
	b.Query(nil, text) // want `sql: `
}

// unproved asks for the row in its tenant, and goes on without it.
func unproved(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[View]) {
	id := r.PathValue("id")
	call, err := calls.CallIn(r.Context(), grant.Site(), id)
	_, _ = call, err
	_ = calls.Delete(id) // want `child: `
}

// late asks after the deed.
func late(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[View]) {
	_ = calls.Delete(r.PathValue("id")) // want `child: `
	if _, err := calls.CallIn(r.Context(), grant.Site(), r.PathValue("id")); err != nil {
		return
	}
}

// branch asks in one branch alone.
func branch(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[View]) {
	id := r.PathValue("id")
	if r.Method == http.MethodDelete {
		if _, err := calls.CallIn(r.Context(), grant.Site(), id); err != nil {
			return
		}
	}
	_ = calls.Delete(id) // want `child: `
}

// wrongWay leaves when the row is found.
func wrongWay(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[View]) {
	if _, err := calls.CallIn(r.Context(), grant.Site(), r.PathValue("id")); err == nil {
		return
	}
	_ = calls.Delete(r.PathValue("id")) // want `child: `
}

// both leaves only when something else is wrong as well.
func both(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[View]) {
	_, err := calls.CallIn(r.Context(), grant.Site(), r.PathValue("id"))
	if err != nil && r.Method == http.MethodGet {
		return
	}
	_ = calls.Delete(r.PathValue("id")) // want `child: `
}

// unscoped asks for the row, but in no tenant.
func unscoped(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[View]) {
	if _, err := calls.Call(r.Context(), r.PathValue("id")); err != nil { // want `child: `
		return
	}
}

// other proves one id and uses another.
func other(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[View]) {
	if _, err := calls.CallIn(r.Context(), grant.Site(), r.PathValue("id")); err != nil {
		return
	}
	_ = calls.Delete(r.PathValue("other_id")) // want `child: `
}

// byPlace has the tenant under a name that does not tell.
func byPlace(w http.ResponseWriter, r *http.Request) {
	_, _ = calls.CallIn(r.Context(), r.PathValue("id"), r.PathValue("call_id")) // want `around: `
}

func elsewhere(w http.ResponseWriter, r *http.Request) {
	var b params.Body
	_ = decode(r, &b)
	_, _ = calls.Calls(r.Context(), b.Site) // want `around: `
}

// own is a service's context around that of its framework.
type own struct{ *gin.Context }

func ownContext(c own) {
	_, _ = calls.Call(c.Ctx(), c.Param("id")) // want `child: `
}

func ownPointer(c *own) {
	_, _ = calls.Calls(c.Ctx(), c.Param("site_id")) // want `around: `
}

func run(b *rls.Batch, text string) { b.Query(nil, text) } // want `sql: `

func runs(name string) {
	b := &rls.Batch{}
	run(b, "select 1")
	run(b, "select "+name)
}

func changed(b *rls.Batch, text string) {
	text += ";"
	b.Query(nil, text) // want `sql: `
}

func passed(b *rls.Batch, text string) { b.Query(nil, text) } // want `sql: `

func passes() {
	passed(&rls.Batch{}, "select 1")
	use := passed
	use(&rls.Batch{}, fmt.Sprint("select 1"))
}

// Exported is called by who knows whom.
func Exported(b *rls.Batch, text string) { b.Query(nil, text) } // want `sql: `

func exported() {
	Exported(&rls.Batch{}, "select 1")
	changed(&rls.Batch{}, "select 1")
}

type outer struct {
	Inner []inner `json:"inner"`
}

type inner struct {
	Site string `json:"site_id"`
}

func nested(w http.ResponseWriter, r *http.Request) {
	var b outer
	_ = decode(r, &b)
	for _, each := range b.Inner {
		_, _ = calls.Calls(r.Context(), each.Site) // want `around: `
	}
}

type generic struct {
	Site string `json:"site_id"`
}

func decoded[T any](r *http.Request) (v T) {
	_ = json.NewDecoder(r.Body).Decode(&v)
	return v
}

func byTypeArgument(w http.ResponseWriter, r *http.Request) {
	_, _ = calls.Calls(r.Context(), decoded[generic](r).Site) // want `around: `
}

type self struct {
	Site string `json:"site_id"`
}

func (s *self) read(r *http.Request) { _ = json.NewDecoder(r.Body).Decode(s) }

func bySelf(w http.ResponseWriter, r *http.Request) {
	s := new(self)
	s.read(r)
	_, _ = calls.Calls(r.Context(), s.Site) // want `around: `
}
