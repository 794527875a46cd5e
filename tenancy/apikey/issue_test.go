package apikey_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/tenancy/apikey"
)

func TestIssue(t *testing.T) {
	t.Parallel()
	g, store := newGate(t, nil)
	as := func(edit func(*sallyport.Principal)) sallyport.Principal {
		who := ann
		edit(&who)
		return who
	}
	many := make([]string, 101)
	for i := range many {
		many[i] = "calls:" + strings.Repeat("x", i)[:min(i, 90)] + string(rune('a'+i%26)) + string(rune('a'+i/26))
	}
	view := []string{"calls:view"}
	for name, tt := range map[string]struct {
		by     sallyport.Principal
		name   string
		scopes []string
		ttl    time.Duration
		want   string
	}{
		"good":              {ann, "x", view, 0, ""},
		"100 bytes of name": {ann, strings.Repeat("x", 100), view, 0, ""},
		"100 scopes":        {ann, "x", many[:100], 0, ""},
		"a nanosecond":      {ann, "x", view, 1, ""},
		"90 days":           {ann, "x", view, 90 * day, ""},
		"with a hardware key": {
			as(func(p *sallyport.Principal) { p.Level = sallyport.AAL3 }), "x", view, 0, "",
		},
		"nobody":       {sallyport.Principal{}, "x", view, 0, apikey.CodeNotIssued},
		"one factor":   {as(func(p *sallyport.Principal) { p.Level = sallyport.AAL1 }), "x", view, 0, apikey.CodeNotIssued},
		"a key":        {as(func(p *sallyport.Principal) { p.Kind = sallyport.KindKey }), "x", view, 0, apikey.CodeNotIssued},
		"a service":    {as(func(p *sallyport.Principal) { p.Kind = sallyport.KindService }), "x", view, 0, apikey.CodeNotIssued},
		"with a key":   {as(func(p *sallyport.Principal) { p.Key = "k" }), "x", view, 0, apikey.CodeNotIssued},
		"not her own":  {as(func(p *sallyport.Principal) { p.ID = "rob" }), "x", view, 0, apikey.CodeNotIssued},
		"one too many": {ann, "x", []string{"calls:view", "data:erase"}, 0, apikey.CodeNotIssued},
		"cannot tell":  {ann, "x", []string{"calls:view", "down"}, 0, apikey.CodeUnavailable},
		"no scopes":    {ann, "x", nil, 0, apikey.CodeNotIssued},
		"101 scopes":   {ann, "x", many, 0, apikey.CodeNotIssued},
		"a scope twice": {
			ann, "x", []string{"calls:view", "calls:seal", "calls:view"}, 0, apikey.CodeNotIssued,
		},
		"an empty scope":     {ann, "x", []string{""}, 0, apikey.CodeNotIssued},
		"100 bytes of scope": {ann, "x", []string{"calls:" + strings.Repeat("x", 94)}, 0, ""},
		"101 bytes of scope": {ann, "x", []string{"calls:" + strings.Repeat("x", 95)}, 0, apikey.CodeNotIssued},
		"no name":            {ann, "", view, 0, apikey.CodeNotIssued},
		"101 bytes of name":  {ann, strings.Repeat("x", 101), view, 0, apikey.CodeNotIssued},
		"two lines":          {ann, "a\nb", view, 0, apikey.CodeNotIssued},
		"not UTF-8":          {ann, "\xff", view, 0, apikey.CodeNotIssued},
		"too long":           {ann, "x", view, 90*day + 1, apikey.CodeNotIssued},
		"backwards":          {ann, "x", view, -1, apikey.CodeNotIssued},
	} {
		before := len(store.List("ann")) + len(store.List("rob"))
		key, record, err := g.Issue(t.Context(), tt.by, tt.name, tt.scopes, tt.ttl)
		require.Equal(t, tt.want, code(err), name)
		after := len(store.List("ann")) + len(store.List("rob"))
		if tt.want != "" {
			require.Error(t, errors.Unwrap(err), name)
			require.Empty(t, key, name)
			require.Zero(t, record, name)
			require.Equal(t, before, after, name)
			continue
		}
		require.Equal(t, before+1, after, name)
		require.Zero(t, record.Hash, name)
		require.Equal(t, tt.scopes, record.Scopes, name)
		require.Len(t, record.ID, 16, name)
		found, err := store.Find(t.Context(), apikey.Hash(key))
		require.NoError(t, err, name)
		found.Hash = record.Hash
		require.Equal(t, record, found, name)
	}
	store.create = errDown
	_, _, err := g.Issue(t.Context(), ann, "x", view, 0)
	require.Equal(t, apikey.CodeUnavailable, code(err))
}

func TestRotate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, store := newGate(t, nil)
		key, record := issue(t, g, 30*day)
		time.Sleep(10 * day)
		next, renewed, err := g.Rotate(t.Context(), ann, record, time.Hour)
		require.NoError(t, err)
		require.Equal(t, 30*day, renewed.Expires.Sub(renewed.Created), "the same span, anew")
		require.Equal(t, record.Scopes, renewed.Scopes)
		require.Equal(t, record.Name, renewed.Name)
		require.NotEqual(t, record.ID, renewed.ID)
		time.Sleep(time.Hour - 1)
		for _, k := range []string{key, next} {
			_, err = g.Check(with(k))
			require.NoError(t, err, "both work for the overlap")
		}
		time.Sleep(time.Nanosecond)
		_, err = g.Check(with(key))
		require.Equal(t, apikey.CodeUnknown, code(err))
		_, err = g.Check(with(next))
		require.NoError(t, err)

		last, renewed2, err := g.Rotate(t.Context(), ann, renewed, 0)
		require.NoError(t, err)
		_, err = g.Check(with(next))
		require.Equal(t, apikey.CodeUnknown, code(err), "no overlap")
		for _, r := range store.List("ann") {
			if r.ID == renewed.ID {
				require.Equal(t, time.Now().Add(-time.Minute).UTC(), r.Revoked, "for slow clocks")
			}
		}
		_, err = g.Check(with(last))
		require.NoError(t, err)

		fails := func(by sallyport.Principal, old apikey.Record, overlap time.Duration, want string) {
			t.Helper()
			before := len(store.List("ann"))
			_, _, err := g.Rotate(t.Context(), by, old, overlap)
			require.Equal(t, want, code(err))
			require.Len(t, store.List("ann"), before)
		}
		rob := ann
		rob.ID = "rob"
		fails(rob, renewed2, 0, apikey.CodeNotIssued)
		fails(ann, renewed2, -1, apikey.CodeNotIssued)
		fails(ann, renewed2, 7*day+1, apikey.CodeNotIssued)
		ended := renewed2
		ended.Revoked = time.Now()
		fails(ann, ended, 0, apikey.CodeNotIssued)
		greedy := renewed2
		greedy.Scopes = []string{"data:erase"}
		fails(ann, greedy, 0, apikey.CodeNotIssued)
		old := renewed2
		old.Expires = time.Now()
		fails(ann, old, 0, apikey.CodeNotIssued)

		// An overlap gives no more time than the key had.
		_, short, err := g.Issue(t.Context(), ann, "short", []string{"calls:view"}, time.Minute)
		require.NoError(t, err)
		_, _, err = g.Rotate(t.Context(), ann, short, 7*day)
		require.NoError(t, err)

		store.end = errDown
		_, _, err = g.Rotate(t.Context(), ann, renewed2, 0)
		require.Equal(t, apikey.CodeUnavailable, code(err))
		_, err = g.Check(with(last))
		require.NoError(t, err, "the old one lives on")
	})
}

// What Permitted says does not matter for what is wrong in itself.
func TestPermittedIsNotAll(t *testing.T) {
	t.Parallel()
	g, store := newGate(t, func(c *apikey.Config) {
		c.Permitted = func(context.Context, sallyport.Principal, string) (bool, error) {
			return true, nil
		}
	})
	_, _, err := g.Issue(t.Context(), ann, "x", []string{""}, 0)
	require.Equal(t, apikey.CodeNotIssued, code(err))
	_, record := issue(t, g, 0)
	rob := ann
	rob.ID = "rob"
	_, _, err = g.Rotate(t.Context(), rob, record, 0)
	require.Equal(t, apikey.CodeNotIssued, code(err))
	require.Zero(t, store.List("ann")[0].Revoked, "nobody ends another's key")
	require.Empty(t, store.List("rob"))
}

// What is revoked now is over on instances whose clocks are behind as well.
func TestRevokedForSlowClocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, store := newGate(t, nil)
		_, record := issue(t, g, 0)
		require.NoError(t, g.Revoke(t.Context(), "ann", record.ID))
		require.Equal(t, time.Now().Add(-time.Minute).UTC(), store.List("ann")[0].Revoked)
		require.NoError(t, g.Revoke(t.Context(), "ann", record.ID), "twice")
		store.end = errDown
		require.Equal(t, apikey.CodeUnavailable, code(g.Revoke(t.Context(), "ann", record.ID)))
	})
}

func TestZeroGates(t *testing.T) {
	t.Parallel()
	for _, g := range []*apikey.Gate{nil, {}} {
		_, err := g.Check(with("x"))
		require.Equal(t, apikey.CodeNotConfigured, code(err))
		_, _, err = g.Issue(context.Background(), ann, "x", nil, 0)
		require.Equal(t, apikey.CodeNotConfigured, code(err))
		_, _, err = g.Rotate(context.Background(), ann, apikey.Record{}, 0)
		require.Equal(t, apikey.CodeNotConfigured, code(err))
		require.Equal(t, apikey.CodeNotConfigured, code(g.Revoke(context.Background(), "ann", "x")))
	}
}
