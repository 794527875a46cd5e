package tenancy_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/tenancy"
)

func TestGrantIsUnforgeable(t *testing.T) {
	t.Parallel()
	var zero tenancy.Grant[sealCall]
	require.ErrorIs(t, zero.Check(), tenancy.ErrNoGrant)
	require.Empty(t, zero.Site()+zero.User()+string(zero.Role()))
	require.Equal(t, "[tenancy: no grant]", zero.String())

	view := reflect.TypeFor[tenancy.Grant[viewCalls]]()
	seal := reflect.TypeFor[tenancy.Grant[sealCall]]()
	require.False(t, view.ConvertibleTo(seal), "a conversion would change the permission")
	require.False(t, view.AssignableTo(seal))
	require.False(t, view.Comparable())
	for field := range view.Fields() {
		require.False(t, field.IsExported(), field.Name)
	}
	// An interface as the permission has no name, and gets nothing.
	_, err := tenancy.Check[tenancy.Permission](newGate(t, nil), request("ann@aa", "/?site=s1"))
	require.Equal(t, tenancy.CodeNotFound, code(err))
}

func TestGrantDoesNotTravel(t *testing.T) {
	t.Parallel()
	grant, err := tenancy.Check[viewCalls](newGate(t, nil), request("rob@a", "/?site=s1"))
	require.NoError(t, err)
	require.Equal(t, "[grant calls:view]", fmt.Sprint(grant))
	_, err = json.Marshal(map[string]any{"g": grant})
	require.ErrorContains(t, err, errNotPortable)
	_, err = xml.Marshal(grant)
	require.ErrorContains(t, err, errNotPortable)
	require.ErrorContains(t, gob.NewEncoder(&bytes.Buffer{}).Encode(grant), errNotPortable)
	require.ErrorContains(t, json.Unmarshal([]byte(`"x"`), &grant), errNotPortable)
	require.ErrorContains(t, grant.UnmarshalBinary(nil), errNotPortable)
}

func TestGrantExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		grant, err := tenancy.Check[viewCalls](newGate(t, nil), request("rob@a", "/?site=s1"))
		require.NoError(t, err)
		time.Sleep(time.Minute - 1)
		require.NoError(t, grant.Check())
		time.Sleep(time.Nanosecond)
		require.ErrorIs(t, grant.Check(), tenancy.ErrExpired)
		require.Empty(t, grant.Site()+grant.User()+string(grant.Role()))
	})
}

// errNotPortable is what every encoder says.
const errNotPortable = "tenancy: a grant cannot leave the process"

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errDown }

func TestReview(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, newGate(t, nil).Review(&out, []tenancy.Membership{
		{User: "rob", Site: "s2", Role: "rep"},
		{User: "=cmd()", Site: "s1", Role: "manager"},
		{User: "odd", Site: "s1", Role: "intern"},
	}))
	require.Equal(t, `site,user,role,known_role,permissions
s1,'=cmd(),manager,yes,calls:seal calls:view
s1,odd,intern,no,
s2,rob,rep,yes,calls:view
`, out.String())
	require.ErrorIs(t, newGate(t, nil).Review(broken{}, nil), errDown)
}

// A scope says what its grant says, ends with it, and cannot be had otherwise.
func TestScope(t *testing.T) {
	t.Parallel()
	var zero tenancy.Scope
	require.ErrorIs(t, zero.Check(), tenancy.ErrNoGrant)
	require.ErrorIs(t, tenancy.Grant[viewCalls]{}.Scope().Check(), tenancy.ErrNoGrant)
	require.Empty(t, zero.Site()+zero.User())
	require.True(t, zero.Expires().IsZero())
	for field := range reflect.TypeFor[tenancy.Scope]().Fields() {
		require.False(t, field.IsExported(), field.Name)
	}
	synctest.Test(t, func(t *testing.T) {
		grant, err := tenancy.Check[viewCalls](newGate(t, nil), request("rob@a", "/?site=s1"))
		require.NoError(t, err)
		scope := grant.Scope()
		require.NoError(t, scope.Check())
		require.Equal(t, "s1", scope.Site())
		require.Equal(t, "rob", scope.User())
		require.Equal(t, "[scope]", fmt.Sprint(scope))
		require.Equal(t, time.Now().Add(time.Minute), scope.Expires())
		_, err = json.Marshal(scope)
		require.ErrorContains(t, err, errNotPortable)
		require.ErrorContains(t, gob.NewEncoder(&bytes.Buffer{}).Encode(scope), errNotPortable)
		time.Sleep(time.Minute)
		require.ErrorIs(t, scope.Check(), tenancy.ErrExpired)
		require.Empty(t, scope.Site()+scope.User())
		require.Equal(t, "[tenancy: grant expired]", scope.String())
	})
}
