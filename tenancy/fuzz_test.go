package tenancy_test

import (
	"net/http"
	"testing"

	"github.com/opsmantik/sallyport/tenancy"
)

// FuzzClaim: whatever the sources hold, nobody gets another site than every
// source that names one, and never one that is not theirs.
func FuzzClaim(f *testing.F) {
	for _, seed := range [][3]string{
		{"s1", "", ""},
		{"s1", "site=s1", "s1"},
		{"", "site=s1&site=s2", ""},
		{"s1", "site=%73%31", ""},
		{"", "site=s1;site=s2", ""},
		{"s1\n", "", ""},
		{"", "%zz", "s1"},
		{"S1", "site=s1", ""},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	g := newGate(f, nil)
	f.Fuzz(func(t *testing.T, path, query, header string) {
		r := request("rob@a", "/")
		r.SetPathValue("site_id", path)
		r.URL.RawQuery = query
		if header != "" {
			r.Header = http.Header{"X-User": {"rob@a"}, "X-Site": {header}}
		}
		grant, err := tenancy.Check[viewCalls](g, r)
		if err != nil {
			if grant.Check() == nil {
				t.Fatal("got a grant together with an error")
			}
			return
		}
		if grant.Site() != "s1" || path != "" && path != "s1" || header != "" && header != "s1" {
			t.Fatalf("got site %q from path %q query %q header %q", grant.Site(), path, query, header)
		}
		for _, value := range r.URL.Query()["site"] {
			if value != "s1" {
				t.Fatalf("got a grant although the query names %q", value)
			}
		}
	})
}
