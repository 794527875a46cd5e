package tenancy_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/tenancy"
)

const bodyLimit = 64

func bodyGate(t testing.TB) *tenancy.Gate {
	return newGate(t, func(c *tenancy.Config) {
		c.Sources = []tenancy.Source{
			tenancy.FromJSON("site_id", bodyLimit), tenancy.FromQuery("site"),
		}
	})
}

func post(target string, body io.Reader) *http.Request {
	r := httptest.NewRequest(http.MethodPost, target, body)
	r.Header.Set("X-User", "rob@a")
	return r
}

func TestJSONSource(t *testing.T) {
	t.Parallel()
	g := bodyGate(t)
	for name, tt := range map[string]struct{ query, body, want string }{
		"named":                      {"", `{"site_id":"s1","note":"x"}`, ""},
		"agrees":                     {"?site=s1", ` {"note":{"site_id":"s2"},"site_id":"s1"} `, ""},
		"escaped":                    {"", `{"\u0073ite_id":"\u0073\u0031"}`, ""},
		"the query alone":            {"?site=s1", `{"note":[1,{"a":null}]}`, ""},
		"an empty object":            {"?site=s1", `{}`, ""},
		"no body":                    {"?site=s1", ``, ""},
		"no site anywhere":           {"", `{"note":"x"}`, tenancy.CodeSiteMissing},
		"disagrees":                  {"?site=s2", `{"site_id":"s1"}`, tenancy.CodeSiteConflict},
		"twice":                      {"", `{"site_id":"s1","site_id":"s1"}`, tenancy.CodeSiteConflict},
		"twice by escapes":           {"", `{"site_id":"s1","sit\u0065_id":"s2"}`, tenancy.CodeSiteConflict},
		"another case":               {"", `{"SITE_ID":"s1"}`, tenancy.CodeSiteConflict},
		"another case besides":       {"", `{"site_id":"s1","Site_Id":"s2"}`, tenancy.CodeSiteConflict},
		"folds as encoding/json":     {"", `{"ſite_id":"s2","site_id":"s1"}`, tenancy.CodeSiteConflict},
		"a number":                   {"", `{"site_id":1}`, tenancy.CodeSiteMalformed},
		"null":                       {"?site=s1", `{"site_id":null}`, tenancy.CodeSiteMalformed},
		"an array":                   {"", `["s1"]`, tenancy.CodeSiteMalformed},
		"a string":                   {"", `"s1"`, tenancy.CodeSiteMalformed},
		"a list of sites":            {"", `{"site_id":["s1"]}`, tenancy.CodeSiteMalformed},
		"empty":                      {"", `{"site_id":""}`, tenancy.CodeSiteMalformed},
		"no id":                      {"", `{"site_id":"../s1"}`, tenancy.CodeSiteMalformed},
		"a second document":          {"", `{"site_id":"s1"} {"site_id":"s2"}`, tenancy.CodeSiteMalformed},
		"cut off":                    {"", `{"site_id":"s1"`, tenancy.CodeSiteMalformed},
		"a byte order mark":          {"", "\ufeff" + `{"site_id":"s1"}`, tenancy.CodeSiteMalformed},
		"a form":                     {"?site=s1", `site_id=s1`, tenancy.CodeSiteMalformed},
		"spaces alone":               {"?site=s1", `  `, tenancy.CodeSiteMalformed},
		"as long as allowed":         {"", `{"site_id":"s1","n":"` + strings.Repeat("x", bodyLimit-23) + `"}`, ""},
		"longer":                     {"", `{"site_id":"s1","n":"` + strings.Repeat("x", bodyLimit-22) + `"}`, tenancy.CodeSiteBodyTooLarge},
		"longer, whatever the query": {"?site=s1", strings.Repeat(" ", bodyLimit+1), tenancy.CodeSiteBodyTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := post("/"+tt.query, strings.NewReader(tt.body))
			grant, err := tenancy.Check[viewCalls](g, r)
			require.Equal(t, tt.want, code(err))
			require.Equal(t, tt.want == "", grant.Site() == "s1")
			body, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			require.Equal(t, tt.body, string(body), "the body is whole again")
			require.NoError(t, r.Body.Close())
		})
	}
}

// Two checks of one request see the same body, and the handler sees it too.
func TestJSONSourceTwice(t *testing.T) {
	t.Parallel()
	g := bodyGate(t)
	const body = `{"site_id":"s1"}`
	h := route(t, g, func(w http.ResponseWriter, r *http.Request, _ tenancy.Grant[viewCalls]) {
		_, err := tenancy.Check[sealCall](g, r)
		require.Equal(t, tenancy.CodeNotFound, code(err), "rob may not")
		_, _ = io.Copy(w, r.Body)
	})
	w := serve(h, post("/", strings.NewReader(body)))
	require.Equal(t, 200, w.Code)
	require.Equal(t, body, w.Body.String())
}

// The body is whole again where it is the only source, too.
func TestJSONSourceAlone(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(c *tenancy.Config) {
		c.Sources = []tenancy.Source{tenancy.FromJSON("site_id", bodyLimit)}
	})
	const body = `{"site_id":"s1"}`
	r := post("/", strings.NewReader(body))
	_, err := tenancy.Check[viewCalls](g, r)
	require.NoError(t, err)
	rest, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Equal(t, body, string(rest))
}

func TestJSONSourceFailures(t *testing.T) {
	t.Parallel()
	g := bodyGate(t)
	r := post("/?site=s1", iotest.ErrReader(errDown))
	_, err := tenancy.Check[viewCalls](g, r)
	require.Equal(t, tenancy.CodeSiteMalformed, code(err))
	require.ErrorIs(t, err, errDown)

	r = post("/", strings.NewReader(`{"site_id":"s1"}`))
	r.Body = http.MaxBytesReader(httptest.NewRecorder(), r.Body, 5)
	w := httptest.NewRecorder()
	route(t, g, func(http.ResponseWriter, *http.Request, tenancy.Grant[viewCalls]) {
		t.Error("the handler ran")
	}).ServeHTTP(w, r)
	require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)

	read := false
	r = post("/", io.MultiReader(strings.NewReader(`{`), readerFunc(func([]byte) (int, error) {
		read = true
		return 0, errors.New("read")
	})))
	r.Header.Del("X-User")
	_, err = tenancy.Check[viewCalls](g, r)
	require.Equal(t, tenancy.CodeIdentityRequired, code(err))
	require.False(t, read, "nothing is read for strangers")

	r = post("/", nil)
	r.Body = nil
	_, err = tenancy.Check[viewCalls](g, r)
	require.Equal(t, tenancy.CodeSiteMissing, code(err))

	_, err = tenancy.New(world(func(c *tenancy.Config) {
		c.Sources = []tenancy.Source{tenancy.FromJSON("site_id", 0), tenancy.FromJSON("", 1)}
	}))
	require.ErrorContains(t, err, `Sources[0]: "site_id"`)
	require.ErrorContains(t, err, "Sources[1]")
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
