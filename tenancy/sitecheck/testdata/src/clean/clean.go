package clean

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"

	"example.com/store"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/rls"
)

type View struct{}

func (View) Permission() string { return "view" }

var calls *store.Store

func list(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[View]) {
	_, _ = calls.ScopedCalls(r.Context(), grant.Scope())
	_, _ = calls.ScopedCall(r.Context(), grant.Scope(), r.PathValue("id"))
	_, _ = calls.CallIn(r.Context(), grant.Site(), r.PathValue("id"))
	_, _ = calls.Find(r.Context(), store.Params{SiteID: grant.Site(), ID: r.PathValue("id")})
}

func names(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[View]) {
	if r.PathValue("site_id") != grant.Site() {
		slog.InfoContext(r.Context(), "elsewhere", "site", r.PathValue("site_id"))
		http.Error(w, "no", http.StatusNotFound)
		return
	}
	fmt.Fprintln(w, r.PathValue("id"))
}

func gate() (*tenancy.Gate, error) {
	return tenancy.New(tenancy.Config{
		Identify: func(r *http.Request) (string, error) {
			return store.SiteOfCall(r.Context(), r.Header.Get("X-Site-Id"))
		},
		Sources: []tenancy.Source{
			tenancy.FromPath("site_id"),
			tenancy.FromLookup("call", func(r *http.Request) (string, error) {
				return store.SiteOfCall(r.Context(), r.PathValue("id"))
			}),
		},
	})
}

func public(w http.ResponseWriter, r *http.Request) {
	//sitecheck:ignore child the short link itself is the secret
	_, _ = calls.Call(r.Context(), r.PathValue("id"))
	_, _ = calls.Calls(r.Context(), "the public one")
	_, _ = calls.Calls(r.Context(), r.URL.Query().Get("sort"))
}

func job(ctx context.Context, site string) { _, _ = calls.Calls(ctx, site) }

func worker(ctx context.Context, db *rls.ServiceDB, s tenancy.ServiceScope) {
	_ = db.Tx(ctx, s, func(tx rls.Tx) error {
		const where = " where note = $1"
		text := "delete from calls" + where
		return tx.Exec(ctx, text, "x")
	})
}

func macs(key, body []byte, text string) bool {
	m := hmac.New(sha256.New, key)
	m.Write(body)
	sum := hex.EncodeToString(m.Sum(nil))
	token := sha256.Sum256(body)
	return text != "" && sum != "" && hmacsig.Equal(sum, text) ||
		hex.EncodeToString(token[:]) == text || hmac.Equal([]byte(sum), []byte(text))
}
