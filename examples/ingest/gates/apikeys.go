package gates

import (
	"context"
	"net/http"
	"slices"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/ingest/apikeys"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/apikey"
)

// keyPrefix begins every key, so that secret scanners know whose it is.
const keyPrefix = "ingest"

// newKeys is the gate of machine clients. A scope must be one that keys can have, or the
// site that binds the key, and the user's own.
func newKeys(cfg Config) (*apikey.Gate, error) {
	members, table := rolesBySite(cfg.Settings), roles(cfg.Settings)
	return apikey.New(apikey.Config{
		Prefix: keyPrefix,
		Store:  apikeys.Recorded{APIKeys: cfg.APIKeys, Record: cfg.Record},
		Permitted: func(_ context.Context, user sallyport.Principal, scope string) (bool, error) {
			if site := store.KeySite([]string{scope}); site != "" {
				_, member := members[user.ID][site]
				return member, nil
			}
			has := false
			for _, role := range members[user.ID] { // the same on every site
				has = slices.Contains(table[role].Permissions, scope)
			}
			return has && apikeys.Known(scope), nil
		},
		OnEvent: cfg.OnEvent,
	})
}

// KeyOr takes an API key in place of a session: a request with an Authorization header
// is judged by its key alone, any other by the session, behind the gates of people. Only
// routes that read have it.
func (g *Gates) KeyOr(person ...Gate) Gate {
	return func(next http.Handler) http.Handler {
		byKey, bySession := g.Keys.Wrap(next), Behind(next, person...)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(r.Header.Values("Authorization")) > 0 {
				byKey.ServeHTTP(w, r)
				return
			}
			bySession.ServeHTTP(w, r)
		})
	}
}

// Who is the principal behind a request: of its key, where KeyOr let one in, else of its
// session.
func (g *Gates) Who(r *http.Request) (sallyport.Principal, error) { return g.identify(r) }

// newWho puts the key before the session.
func newWho(
	cfg Config, session func(*http.Request) (sallyport.Principal, error),
) func(*http.Request) (sallyport.Principal, error) {
	members := rolesBySite(cfg.Settings)
	return func(r *http.Request) (sallyport.Principal, error) {
		who, ok := apikey.FromContext(r.Context())
		if !ok {
			return session(r)
		}
		if _, known := members[who.ID]; !known { // removed while the key was checked
			return sallyport.Principal{}, tenancy.ErrUnauthenticated
		}
		return atItsSite(who, r), nil
	}
}

// atItsSite leaves a key its permissions where the request names the site that the key is
// bound to, and no other; anywhere else none, so that the site is not found.
func atItsSite(who sallyport.Principal, r *http.Request) sallyport.Principal {
	bound := store.KeySite(who.Scopes)
	named := r.URL.Query()["site_id"]
	if site := r.PathValue("site_id"); site != "" {
		named = append(named, site)
	}
	elsewhere := func(given string) bool {
		site, ok := parseSite(given)
		return !ok || site != bound
	}
	if bound == "" || len(named) == 0 || slices.ContainsFunc(named, elsewhere) {
		who.Scopes = nil
		return who
	}
	who.Scopes = store.KeyPermissions(who.Scopes)
	return who
}

// ownRole is the row of a user whose addresses are limited: that of the user's role, from
// there alone.
func ownRole(role, user string) tenancy.Role { return tenancy.Role(role + " " + user) }
