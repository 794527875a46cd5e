package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/opsmantik/sallyport/examples/ingest/account"
	"github.com/opsmantik/sallyport/examples/ingest/calls"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/tenancy"
)

// newAccess is the gate of everything that belongs to one site. The site comes
// from the path, the query or the stored call; where two name it, they agree.
func newAccess(
	s *settings.Settings, accounts *account.Accounts, db *sqlite.DB, count counter,
) (*tenancy.Gate, error) {
	members := make(map[string]map[string]tenancy.Role, len(s.Users))
	challenged := map[string]bool{} // the gate itself asks these for a second factor
	for _, user := range s.Users {
		role := tenancy.Role(user.Role)
		challenged[user.ID] = role == tenancy.RoleAdmin || role == tenancy.RoleSuperadmin
		members[user.ID] = map[string]tenancy.Role{}
		for _, site := range user.Sites {
			members[user.ID][site] = role
		}
		for _, site := range s.Sites { // who owns a site is in its group
			if site.Owner == user.ID {
				members[user.ID][site.ID] = role
			}
		}
	}
	return tenancy.New(tenancy.Config{
		Identify: func(r *http.Request) (tenancy.Principal, error) {
			return identify(accounts, challenged, r)
		},
		Sources: []tenancy.Source{
			tenancy.FromPath("site_id"), tenancy.FromQuery("site_id"),
			tenancy.FromLookup("call", func(r *http.Request) (string, error) { return siteOfCall(db, r) }),
		},
		Member: func(_ context.Context, user, site string) (tenancy.Role, error) {
			role, ok := members[user][site]
			if !ok {
				return "", tenancy.ErrNotMember
			}
			return role, nil
		},
		Roles: calls.Roles(),
		OnDecision: func(_ *http.Request, d tenancy.Decision) {
			count("tenancy", string(d.Reason), d.Reason == "")
		},
	})
}

// identify turns the session into a principal. A session that still lacks a
// second factor its user has enrolled is none yet, unless the gate will ask for
// it anyway, with a challenge that says so.
func identify(
	accounts *account.Accounts, challenged map[string]bool, r *http.Request,
) (tenancy.Principal, error) {
	current, err := accounts.Sessions.Check(r)
	if errors.Is(err, sessions.ErrNoSession) {
		return tenancy.Principal{}, tenancy.ErrUnauthenticated
	}
	if err != nil {
		return tenancy.Principal{}, err
	}
	if accounts.SecondFactorDue(current.Info) && !challenged[current.User] {
		return tenancy.Principal{}, tenancy.ErrUnauthenticated
	}
	return tenancy.Principal{
		User: current.User, Level: int(current.Level), AuthTime: current.AuthTime,
	}, nil
}

// siteOfCall looks up whose call a request is about, if it is about one.
func siteOfCall(db *sqlite.DB, r *http.Request) (string, error) {
	id := r.PathValue("id")
	if id == "" {
		return "", nil
	}
	site, err := db.CallSite(r.Context(), id)
	if errors.Is(err, sqlite.ErrNoCall) {
		return "", tenancy.ErrNotMember
	}
	return site, err
}
