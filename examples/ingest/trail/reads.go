package trail

import (
	"context"
	"net/http"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/tenancy"
)

type readOf struct{}

// described is the record that Read has put into the context of the request.
func described(r *http.Request) (audit.Record, bool) {
	record, ok := r.Context().Value(readOf{}).(audit.Record)
	return record, ok
}

// Read has it on record, durably, that somebody looks at a site's confidential data,
// before they are shown it. What cannot be recorded is not shown.
func Read[P tenancy.Permission](
	t *Trail, action string, show func(http.ResponseWriter, *http.Request, tenancy.Grant[P]),
) func(http.ResponseWriter, *http.Request, tenancy.Grant[P]) {
	return func(w http.ResponseWriter, r *http.Request, g tenancy.Grant[P]) {
		record := audit.Record{
			Actor:  audit.Ref{Kind: sallyport.KindUser, ID: g.User()},
			Tenant: g.Site(), Action: action, Target: audit.Ref{Kind: "site", ID: g.Site()},
		}
		if key := g.Scope().Key(); key != "" {
			record.Fields = []audit.Field{{Name: "api_key", Value: key, Class: sallyport.Internal}}
		}
		ctx := context.WithValue(r.Context(), readOf{}, record)
		t.reads.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			show(w, r, g)
		})).ServeHTTP(w, r.WithContext(ctx))
	}
}
