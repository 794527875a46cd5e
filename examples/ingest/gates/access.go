package gates

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"regexp"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/ingest/account"
	"github.com/opsmantik/sallyport/examples/ingest/apikeys"
	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/tenancy"
)

// newAccess is the gate of everything that belongs to one site. The site comes
// from the path, the query or the stored call; where two name it, they agree.
func newAccess(cfg Config, g *Gates) (*tenancy.Gate, error) {
	members, networks := rolesBySite(cfg.Settings), networksBySite(cfg.Settings)
	return tenancy.New(tenancy.Config{
		Identify: g.identify,
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
		Roles:     roles(cfg.Settings),
		StepUp:    map[string]time.Duration{apikeys.Manage{}.Permission(): 0}, // by no key
		ParseSite: parseSite,
		Address:   g.address,
		SiteNetworks: func(_ context.Context, site string) ([]netip.Prefix, error) {
			return networks[site], nil
		},
		OnEvent: cfg.OnEvent,
	})
}

// parseSite gives a site id its one spelling: what grants, limits and stores see.
func parseSite(id string) (site string, ok bool) {
	site = event.NormalSite(id)
	return site, siteForm.MatchString(site)
}

var siteForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// rolesBySite says which role a user has on which site. Who owns a site is in
// its group.
func rolesBySite(s *settings.Settings) map[string]map[string]tenancy.Role {
	roles := make(map[string]map[string]tenancy.Role, len(s.Users))
	for _, user := range s.Users {
		role := tenancy.Role(user.Role)
		if len(user.Networks) > 0 {
			role = ownRole(user.Role, user.ID)
		}
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

// address is the client's, which the gate in front has found.
func (g *Gates) address(r *http.Request) (netip.Addr, error) {
	if addr, ok := clientaddr.FromContext(r.Context()); ok {
		return addr, nil
	}
	return g.Address.Check(r)
}

// networksBySite are the addresses from which people and keys may act on a site.
func networksBySite(s *settings.Settings) map[string][]netip.Prefix {
	networks := map[string][]netip.Prefix{}
	for _, site := range s.Sites {
		networks[site.ID] = site.Networks
	}
	return networks
}

// newIdentify turns the session into a principal. A session that still lacks a
// second factor its user has enrolled is none yet.
func newIdentify(
	s *settings.Settings, current *account.Sessions,
) func(*http.Request) (sallyport.Principal, error) {
	enrolled := map[string]bool{}
	for _, user := range s.Users {
		enrolled[user.ID] = user.TOTPSecret != ""
	}
	return func(r *http.Request) (sallyport.Principal, error) {
		session, err := current.Check(r)
		if errors.Is(err, sessions.ErrNoSession) {
			return sallyport.Principal{}, tenancy.ErrUnauthenticated
		}
		if err != nil {
			return sallyport.Principal{}, err
		}
		due, known := enrolled[session.User]
		// Known: a sign-in that was under way when its user was removed ends here.
		if !known || due && session.Level < sallyport.AAL2 {
			return sallyport.Principal{}, tenancy.ErrUnauthenticated
		}
		return sallyport.Principal{
			Kind: sallyport.KindUser, ID: session.User,
			Level: session.Level, AuthTime: session.AuthTime,
		}, nil
	}
}

// SecondFactor asks whoever administers for the second factor before anything is
// looked up, and whoever has the highest role for a security key: with less, the
// sites that are one's own are answered as those that are not. The challenge is that
// of RFC 9470 section 3.
func (g *Gates) SecondFactor(next http.Handler) http.Handler {
	needed := map[string]sallyport.Level{}
	for _, user := range g.cfg.Settings.Users {
		needed[user.ID] = g.Needed(user.Role)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, err := g.Sessions.Check(r)
		if err != nil || session.Level >= needed[session.User] {
			next.ServeHTTP(w, r) // the gate behind says the rest
			return
		}
		refused := stepUp(needed[session.User])
		g.cfg.OnEvent(r.Context(), sallyport.Event{
			Gate: refused.Gate, Code: refused.Code, Actor: session.User, Request: r,
		})
		refused.Write(w)
	})
}

func stepUp(level sallyport.Level) *sallyport.Refusal {
	refused := &sallyport.Refusal{
		Gate: "tenancy", Code: tenancy.CodeStepUp, Status: http.StatusUnauthorized,
		Title:     "Give the second factor first",
		Challenge: `Bearer error="` + tenancy.CodeStepUp + `", acr_values="aal2"`,
	}
	if level == sallyport.AAL3 {
		refused.Title = "Use your security key first"
		refused.Challenge = `Bearer error="` + tenancy.CodeStepUp + `", acr_values="aal3"`
	}
	return refused
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
