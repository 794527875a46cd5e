package gates

import (
	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/ingest/calls"
	"github.com/opsmantik/sallyport/examples/ingest/delivery"
	"github.com/opsmantik/sallyport/tenancy"
)

// roles is the permission table: nothing is inherited. Who administers needs a
// second factor, which is what a row without a level says.
func roles() map[tenancy.Role]tenancy.Rights {
	manager := []string{
		calls.View{}.Permission(), calls.Seal{}.Permission(), calls.Junk{}.Permission(), calls.Undo{}.Permission(),
	}
	admin := append([]string{
		calls.ViewAudit{}.Permission(), delivery.Replay{}.Permission(),
	}, manager...)
	return map[tenancy.Role]tenancy.Rights{
		"superadmin": {Permissions: admin},
		"admin":      {Permissions: admin},
		"manager":    {Permissions: manager, Level: sallyport.AAL1},
		"rep":        {Permissions: []string{calls.View{}.Permission()}, Level: sallyport.AAL1},
	}
}
