package gates

import (
	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/ingest/apikeys"
	"github.com/opsmantik/sallyport/examples/ingest/calls"
	"github.com/opsmantik/sallyport/examples/ingest/delivery"
	"github.com/opsmantik/sallyport/examples/ingest/fields"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/trail"
	"github.com/opsmantik/sallyport/examples/ingest/watchtower"
	"github.com/opsmantik/sallyport/tenancy"
)

// roles is the permission table: nothing is inherited. Who administers needs a
// second factor, which is what a row without a level says, and a security key if
// SECURITY_KEY_ROLES names the role.
func roles(s *settings.Settings) map[tenancy.Role]tenancy.Rights {
	rep := []string{calls.View{}.Permission(), calls.ViewEvents{}.Permission()}
	manager := append([]string{
		calls.Seal{}.Permission(), calls.Junk{}.Permission(), calls.Undo{}.Permission(),
	}, rep...)
	admin := append([]string{
		trail.View{}.Permission(), fields.View{}.Permission(), delivery.View{}.Permission(), delivery.Replay{}.Permission(),
		apikeys.Manage{}.Permission(),
		watchtower.View{}.Permission(), watchtower.Decide{}.Permission(),
	}, manager...)
	table := map[tenancy.Role]tenancy.Rights{
		"superadmin": {Permissions: append([]string{trail.ViewAll{}.Permission()}, admin...)},
		"admin":      {Permissions: admin},
		"manager":    {Permissions: manager, Level: sallyport.AAL1},
		"rep":        {Permissions: rep, Level: sallyport.AAL1},
	}
	for _, name := range s.SecurityKeyRoles {
		rights := table[tenancy.Role(name)]
		rights.Level = sallyport.AAL3
		table[tenancy.Role(name)] = rights
	}
	for _, user := range s.Users {
		if len(user.Networks) > 0 {
			rights := table[tenancy.Role(user.Role)]
			rights.Networks = user.Networks
			table[ownRole(user.Role, user.ID)] = rights
		}
	}
	return table
}
