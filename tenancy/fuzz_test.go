package tenancy_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
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

// FuzzJSON: whatever the body, a handler that decodes it as encoding/json does, into a
// struct or a map, reads no other site than the gate has checked.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"site_id":"s1"}`, `{"site_id":"s1","site_id":"s2"}`, `{"SITE_ID":"s2","site_id":"s1"}`,
		`{"site_id":null}`, `{"ſite_id":"s2"}`, `{"a":{"site_id":"s2"},"site_id":"s1"}`,
		`{"site_id":"s1"} {"site_id":"s2"}`, `["site_id","s2"]`, `{"\u0073ite_id":"s2"}`, ``,
		"{\"site_id\":\"s1\xff\"}", `{"site_id":"s\u0031"}`,
	} {
		f.Add(seed, "s1")
		f.Add(seed, "")
	}
	g := bodyGate(f)
	f.Fuzz(func(t *testing.T, body, query string) {
		r := post("/", strings.NewReader(body))
		if query != "" {
			r.URL.RawQuery = url.Values{"site": {query}}.Encode()
		}
		grant, err := tenancy.Check[viewCalls](g, r)
		if err != nil {
			return
		}
		restored, err := io.ReadAll(r.Body)
		if err != nil || string(restored) != body {
			t.Fatalf("the body is %q, %v, and was %q", restored, err, body)
		}
		typed := struct {
			Site string `json:"site_id"`
		}{grant.Site()}
		_ = json.NewDecoder(strings.NewReader(body)).Decode(&typed)
		untyped := map[string]any{}
		_ = json.Unmarshal([]byte(body), &untyped)
		other, named := untyped["site_id"]
		if grant.Site() != "s1" || typed.Site != "s1" || named && other != "s1" {
			t.Fatalf("granted %q, the handler reads %q and %v", grant.Site(), typed.Site, other)
		}
	})
}
