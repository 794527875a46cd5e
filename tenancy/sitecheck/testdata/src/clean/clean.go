package clean // want package:"sets x-caller-id"

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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

// found asks for the row in its tenant first, so that the id is known to be the tenant's.
func found(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[View]) {
	id, err := parse(r.PathValue("id"))
	if err != nil {
		return
	}
	if _, err := calls.CallIn(r.Context(), grant.Site(), id); err != nil {
		return
	}
	_ = calls.Delete(id)
	call, err := calls.Find(r.Context(), store.Params{SiteID: grant.Site(), ID: r.FormValue("other_id")})
	if err != nil || call.ID == "" {
		http.Error(w, "no", http.StatusNotFound)
		return
	}
	_ = calls.Delete(r.FormValue("other_id"))
}

func parse(text string) (string, error) { return text, nil }

// fromMiddleware reads who asks from where the server itself wrote it.
func fromMiddleware(w http.ResponseWriter, r *http.Request) {
	_, _ = calls.Call(r.Context(), r.Header.Get("X-Caller-ID"))
	slog.Info("asked", "id", r.Header.Get("X-Request-ID"))
}

func middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("X-Caller-ID", "who")
		next.ServeHTTP(w, r)
	})
}

type create struct {
	Leader string  `json:"leader_id"`
	Next   *string `json:"next_id"`
}

func number(w http.ResponseWriter, text, name string) ([16]byte, bool) {
	return [16]byte{}, text != name
}

// leader is found by a helper that answers for itself.
func leader(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[View]) {
	var req create
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		return
	}
	id, ok := number(w, req.Leader, "leader_id")
	if !ok {
		return
	}
	call, err := calls.Find(r.Context(), store.Params{ID: string(id[:]), SiteID: grant.Site()})
	if err != nil {
		return
	}
	_, _ = calls.Find(r.Context(), store.Params{ID: string(id[:])})
	_ = call
}

// query is given constant statements alone.
func query(b *rls.Batch, text string, args ...any) { b.Query(nil, text, args...) }

func queries() {
	b := &rls.Batch{}
	const columns = "id, note"
	query(b, "select "+columns+" from calls")
	query(b, "select * from calls where note = $1", "x")
}

type sessionStore struct{}

func (sessionStore) Value(r *http.Request, key string) string { return key }

// signedIn takes the tenant that the server itself has put into the session.
func signedIn(w http.ResponseWriter, r *http.Request) {
	_, _ = calls.Calls(r.Context(), sessionStore{}.Value(r, "tenant_id"))
}

// parameters are collected before they are handed on.
func parameters(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[View]) {
	p := store.Params{ID: r.PathValue("id"), SiteID: grant.Site()}
	_, _ = calls.Find(r.Context(), p)
}

// answer is what is written, and never read.
type answer struct {
	Site string `json:"site_id"`
	Call string `json:"call_id"`
}

func answers(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[View]) {
	a := answer{Call: "c"}
	a.Site = grant.Site()
	_, _ = calls.Calls(r.Context(), a.Site)
	_ = json.NewEncoder(w).Encode(a)
}
