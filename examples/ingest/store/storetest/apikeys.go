package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/apikey"
)

// apiKeyList is what List adds to a store of keys, whose own suite does the rest.
func (s suite) apiKeyList(t *testing.T) {
	keys := s.fresh(t).APIKeys()
	const other = "fedcba9876543210fedcba9876543210"
	add := func(id, of string, created time.Time, change func(*apikey.Record)) {
		r := apikey.Record{
			ID: id, Hash: apikey.Hash(id), User: "u", Name: id,
			Scopes:  []string{store.SiteScope(of), "calls:view"},
			Created: created, Expires: noon.Add(time.Hour),
		}
		if change != nil {
			change(&r)
		}
		require.NoError(t, keys.Create(t.Context(), r))
	}
	add("first", site, noon.Add(-3*time.Minute), nil)
	add("second", site, noon.Add(-2*time.Minute), func(r *apikey.Record) { r.User = "v" })
	add("third", site, noon.Add(-time.Minute), nil)
	add("of another site", other, noon, nil)
	add("of no site", "", noon, func(r *apikey.Record) { r.Scopes = []string{site, "calls:view"} })
	add("of a longer site", site+"0", noon, nil)
	add("expired", site, noon, func(r *apikey.Record) { r.Expires = noon })
	add("revoked", site, noon, nil)
	require.NoError(t, keys.End(t.Context(), "u", "revoked", noon))
	require.NoError(t, keys.End(t.Context(), "u", "first", noon.Add(time.Microsecond)))

	names := func(of string, limit int) (names []string) {
		list, err := keys.List(t.Context(), Scope(t, "u", of), noon, limit)
		require.NoError(t, err)
		require.NotNil(t, list)
		for _, r := range list {
			require.Zero(t, r.Hash)
			require.Equal(t, []string{store.SiteScope(of), "calls:view"}, r.Scopes)
			names = append(names, r.ID)
		}
		return names
	}
	require.Equal(t, []string{"third", "second", "first"}, names(site, 10))
	require.Equal(t, []string{"third", "second"}, names(site, 2))
	require.Equal(t, []string{"of another site"}, names(other, 10))
	_, err := keys.List(t.Context(), tenancy.Scope{}, noon, 10)
	require.ErrorIs(t, err, tenancy.ErrNoGrant)
}
