package tenancy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/tenancy"
)

var worker = sallyport.Principal{
	Kind: sallyport.KindService, ID: "worker", Level: sallyport.AAL1,
}

func TestAuthorizeService(t *testing.T) {
	t.Parallel()
	var last sallyport.Event
	g := newGate(t, func(c *tenancy.Config) {
		c.OnEvent = func(_ context.Context, e sallyport.Event) { last = e }
	})
	as := func(edit func(*sallyport.Principal)) sallyport.Principal {
		who := worker
		edit(&who)
		return who
	}
	for name, tt := range map[string]struct {
		who    sallyport.Principal
		reason string
		want   string
	}{
		"granted":         {worker, "nightly purge", tenancy.CodeServiceGranted},
		"200 bytes":       {worker, strings.Repeat("x", 200), tenancy.CodeServiceGranted},
		"no reason":       {worker, "", tenancy.CodeServiceRefused},
		"201 bytes":       {worker, strings.Repeat("x", 201), tenancy.CodeServiceRefused},
		"a second line":   {worker, "purge\nadmin=true", tenancy.CodeServiceRefused},
		"not UTF-8":       {worker, "\xff", tenancy.CodeServiceRefused},
		"nobody":          {sallyport.Principal{}, "x", tenancy.CodeIdentityRequired},
		"unproved":        {as(func(p *sallyport.Principal) { p.Level = 0 }), "x", tenancy.CodeIdentityRequired},
		"another service": {as(func(p *sallyport.Principal) { p.ID = "mail" }), "x", tenancy.CodeServiceRefused},
		"a user of that name": {
			as(func(p *sallyport.Principal) { p.Kind = sallyport.KindUser }), "x",
			tenancy.CodeServiceRefused,
		},
	} {
		grant, err := tenancy.AuthorizeService[eraseData](t.Context(), g, tt.who, tt.reason)
		require.Equal(t, tt.want, last.Code, name)
		granted := tt.want == tenancy.CodeServiceGranted
		require.Equal(t, granted, err == nil, name)
		require.Equal(t, granted, last.Allowed, name)
		require.Equal(t, granted, grant.Check() == nil, name)
		require.Equal(t, "data:erase", last.Policy, name)
		d, ok := last.Detail.(tenancy.Decision)
		require.True(t, ok)
		if granted {
			require.Equal(t, tt.reason, grant.Scope().Reason(), name)
			require.Equal(t, "worker", grant.Scope().Service(), name)
			require.Equal(t, tt.reason, d.Reason, name)
			require.Contains(t, d.Explain(), "reason: "+tt.reason, name)
			continue
		}
		require.Equal(t, tt.want, code(err), name)
		refused, _ := errors.AsType[*sallyport.Refusal](err)
		require.Equal(t, d, refused.Detail, name)
		require.Empty(t, grant.Scope().Reason()+grant.Scope().Service(), name)
	}
	_, err := tenancy.AuthorizeService[sealCall](t.Context(), g, worker, "x")
	require.Equal(t, tenancy.CodeServiceRefused, code(err), "a permission it does not have")
	_, err = tenancy.AuthorizeService[tenancy.Permission](t.Context(), g, worker, "x")
	require.Equal(t, tenancy.CodeServiceRefused, code(err))
	_, err = tenancy.AuthorizeService[eraseData](t.Context(), nil, worker, "x")
	require.Equal(t, tenancy.CodeNotConfigured, code(err))
}

// Nobody gets at a site with a service's name: its ID may be some user's too.
func TestServicesAreNoMembers(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil)
	who := worker
	who.ID = "ann" // an admin of s1
	who.Level = sallyport.AAL3
	_, err := tenancy.Authorize[viewCalls](t.Context(), g, who, "s1")
	require.Equal(t, tenancy.CodeNotFound, code(err))
}

func TestServiceGrantIsUnforgeable(t *testing.T) {
	t.Parallel()
	var zero tenancy.ServiceGrant[eraseData]
	require.ErrorIs(t, zero.Check(), tenancy.ErrNoGrant)
	require.ErrorIs(t, zero.Scope().Check(), tenancy.ErrNoGrant)
	require.True(t, zero.Scope().Expires().IsZero())
	require.Equal(t, "[tenancy: no grant] [tenancy: no grant]", fmt.Sprint(zero, zero.Scope()))

	service := reflect.TypeFor[tenancy.ServiceGrant[eraseData]]()
	require.False(t, service.ConvertibleTo(reflect.TypeFor[tenancy.ServiceGrant[viewCalls]]()))
	require.False(t, service.ConvertibleTo(reflect.TypeFor[tenancy.Grant[eraseData]]()))
	require.False(t, reflect.TypeFor[tenancy.ServiceScope]().ConvertibleTo(
		reflect.TypeFor[tenancy.Scope]()))

	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, nil)
		grant, err := tenancy.AuthorizeService[eraseData](t.Context(), g, worker, "purge")
		require.NoError(t, err)
		cast := *(*tenancy.ServiceGrant[viewCalls])(reflect.NewAt(
			reflect.TypeFor[tenancy.ServiceGrant[viewCalls]](),
			reflect.ValueOf(&grant).UnsafePointer()).UnsafePointer())
		require.ErrorIs(t, cast.Check(), tenancy.ErrNoGrant)
		require.ErrorIs(t, cast.Scope().Check(), tenancy.ErrNoGrant)

		scope := grant.Scope()
		require.Equal(t, "[service grant data:erase] [service scope]", fmt.Sprint(grant, scope))
		_, err = json.Marshal(scope)
		require.ErrorContains(t, err, errNotPortable)
		require.Equal(t, time.Now().Add(time.Minute), scope.Expires())
		time.Sleep(time.Minute - 1)
		require.NoError(t, scope.Check())
		time.Sleep(time.Nanosecond)
		require.ErrorIs(t, grant.Check(), tenancy.ErrExpired)
		require.Empty(t, scope.Service()+scope.Reason())

		grant, err = tenancy.AuthorizeService[eraseData](t.Context(), g, worker, "purge")
		require.NoError(t, err)
		g.Forget("", "")
		require.ErrorIs(t, grant.Check(), tenancy.ErrExpired, "the end of all grants")
	})
}
