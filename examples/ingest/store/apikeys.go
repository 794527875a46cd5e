package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/apikey"
)

// APIKeys keeps the keys of machine clients. storetest of package apikey says what the
// first four methods do.
type APIKeys interface {
	apikey.Store
	// List lists the keys of the scope's site that have not ended at a time, newest
	// first and without their hashes, at most limit.
	List(ctx context.Context, scope tenancy.Scope, now time.Time, limit int) ([]apikey.Record, error)
}

// siteScope begins the scope that binds a key to a site. No permission begins with it.
const siteScope = "site:"

// SiteScope is the scope of a key that binds it to a site: it opens no other, whatever
// its user may do there.
func SiteScope(site string) string { return siteScope + site }

// KeySite is the site that scopes are bound to, or empty.
func KeySite(scopes []string) string {
	for _, scope := range scopes {
		if site, ok := strings.CutPrefix(scope, siteScope); ok {
			return site
		}
	}
	return ""
}

// KeyPermissions are the scopes that say what a key may do.
func KeyPermissions(scopes []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool {
		return strings.HasPrefix(scope, siteScope)
	})
}
