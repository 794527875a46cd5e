package gates

import (
	"context"
	"errors"
	"net/http"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/ingest/account"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/tenancy"
)

// newAccess is the gate of everything that belongs to one site. The site comes
// from the path, the query or the stored call; where two name it, they agree.
func newAccess(cfg Config, current *account.Sessions) (*tenancy.Gate, error) {
	members := rolesBySite(cfg.Settings)
	return tenancy.New(tenancy.Config{
		Identify: newIdentify(cfg.Settings, current),
		Sources: []tenancy.Source{
			tenancy.FromPath("site_id"), tenancy.FromQuery("site_id"),
			tenancy.FromLookup("call", func(r *http.Request) (string, error) { return siteOfCall(cfg, r) }),
		},
		Member: func(_ context.Context, user, site string) (tenancy.Role, error) {
			role, ok := members[user][site]
			if !ok {
				return "", tenancy.ErrNotMember
			}
			return role, nil
		},
		Roles:   roles(),
		OnEvent: cfg.OnEvent,
	})
}

// rolesBySite says which role a user has on which site. Who owns a site is in
// its group.
func rolesBySite(s *settings.Settings) map[string]map[string]tenancy.Role {
	roles := make(map[string]map[string]tenancy.Role, len(s.Users))
	for _, user := range s.Users {
		role := tenancy.Role(user.Role)
		roles[user.ID] = map[string]tenancy.Role{}
		for _, site := range user.Sites {
			roles[user.ID][site] = role
		}
		for _, site := range s.Sites {
			if site.Owner == user.ID {
				roles[user.ID][site.ID] = role
			}
		}
	}
	return roles
}

// newIdentify turns the session into a principal. A session that still lacks a
// second factor its user has enrolled is none yet, unless the gate will ask for
// it anyway, with a challenge that says so.
func newIdentify(
	s *settings.Settings, current *account.Sessions,
) func(*http.Request) (sallyport.Principal, error) {
	enrolled := map[string]bool{} // and not asked by the gate itself
	table := roles()
	for _, user := range s.Users {
		asked := table[tenancy.Role(user.Role)].Level != sallyport.AAL1
		enrolled[user.ID] = user.TOTPSecret != "" && !asked
	}
	return func(r *http.Request) (sallyport.Principal, error) {
		session, err := current.Check(r)
		if errors.Is(err, sessions.ErrNoSession) {
			return sallyport.Principal{}, tenancy.ErrUnauthenticated
		}
		if err != nil {
			return sallyport.Principal{}, err
		}
		if enrolled[session.User] && session.Level < sallyport.AAL2 {
			return sallyport.Principal{}, tenancy.ErrUnauthenticated
		}
		return sallyport.Principal{
			Kind: sallyport.KindUser, ID: session.User,
			Level: session.Level, AuthTime: session.AuthTime,
		}, nil
	}
}

// siteOfCall looks up whose call a request is about, if it is about one.
func siteOfCall(cfg Config, r *http.Request) (string, error) {
	id := r.PathValue("id")
	if id == "" {
		return "", nil
	}
	site, err := cfg.SiteOfCall(r.Context(), id)
	if errors.Is(err, store.ErrNoCall) {
		return "", tenancy.ErrNotMember
	}
	return site, err
}
