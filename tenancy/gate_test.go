package tenancy_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/tenancy"
)

type (
	viewCalls struct{}
	sealCall  struct{}
	eraseData struct{}
	nobodys   struct{}
)

func (viewCalls) Permission() string { return "calls:view" }

func (sealCall) Permission() string { return "calls:seal" }

func (eraseData) Permission() string { return "data:erase" }

func (nobodys) Permission() string { return "nobody:has" }

var errDown = errors.New("down")

// world is the test's users: header X-User, "user@level".
func world(edit func(*tenancy.Config)) tenancy.Config {
	members := map[[2]string]tenancy.Role{
		{"root", "s1"}: "superadmin",
		{"ann", "s1"}:  "admin",
		{"max", "s1"}:  "manager",
		{"rob", "s1"}:  "rep",
		{"odd", "s1"}:  "intern",
		{"nil", "s1"}:  "",
	}
	cfg := tenancy.Config{
		Identify: func(r *http.Request) (sallyport.Principal, error) {
			user, level, ok := strings.Cut(r.Header.Get("X-User"), "@")
			switch {
			case user == "broken":
				return sallyport.Principal{}, errDown
			case !ok:
				return sallyport.Principal{}, tenancy.ErrUnauthenticated
			}
			return sallyport.Principal{Kind: sallyport.KindUser, ID: user, Level: sallyport.Level(len(level)), AuthTime: time.Now()}, nil
		},
		Sources: []tenancy.Source{
			tenancy.FromPath("site_id"), tenancy.FromQuery("site"), tenancy.FromHeader("X-Site"),
		},
		Member: func(_ context.Context, user, site string) (tenancy.Role, error) {
			if site == "down" {
				return "", errDown
			}
			role, ok := members[[2]string{user, site}]
			if !ok {
				return "", tenancy.ErrNotMember
			}
			return role, nil
		},
		Roles: map[tenancy.Role]tenancy.Rights{
			"superadmin": {Permissions: []string{"calls:view", "calls:seal", "data:erase"}},
			"admin": {
				Permissions: []string{"calls:view", "calls:seal", "data:erase"},
				Level:       sallyport.AAL2,
			},
			"manager": {Permissions: []string{"calls:view", "calls:seal"}, Level: sallyport.AAL1},
			"rep":     {Permissions: []string{"calls:view"}, Level: sallyport.AAL1},
		},
		Services: map[string][]string{"worker": {"data:erase"}},
		StepUp:   map[string]time.Duration{"calls:seal": 0, "data:erase": 5 * time.Minute},
	}
	if edit != nil {
		edit(&cfg)
	}
	return cfg
}

func newGate(t testing.TB, edit func(*tenancy.Config)) *tenancy.Gate {
	t.Helper()
	g, err := tenancy.New(world(edit))
	require.NoError(t, err)
	return g
}

func request(user, target string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	if user != "" {
		r.Header.Set("X-User", user)
	}
	return r
}

func code(err error) string {
	if refused, ok := errors.AsType[*sallyport.Refusal](err); ok {
		return refused.Code
	}
	return ""
}

// Every role and level against every permission. "aa" is AAL2.
func TestPermissionMatrix(t *testing.T) {
	t.Parallel()
	const (
		ok     = ""
		no     = tenancy.CodeNotFound
		stepUp = tenancy.CodeStepUp
		who    = tenancy.CodeIdentityRequired
	)
	g := newGate(t, nil)
	for user, want := range map[string][4]string{ // view, seal, erase, nobody's
		"root@a":  {stepUp, stepUp, stepUp, no},
		"root@aa": {ok, ok, ok, no},
		"ann@a":   {stepUp, stepUp, stepUp, no},
		"ann@aa":  {ok, ok, ok, no},
		"ann@aaa": {ok, ok, ok, no},
		"max@a":   {ok, stepUp, no, no},
		"max@aa":  {ok, ok, no, no},
		"rob@a":   {ok, no, no, no},
		"rob@aa":  {ok, no, no, no},
		"odd@aa":  {no, no, no, no},
		"nil@aa":  {no, no, no, no},
		"eve@aa":  {no, no, no, no},
		"max@":    {who, who, who, who},
		"@aa":     {who, who, who, who},
		"":        {who, who, who, who},
		"broken": {
			tenancy.CodeUnavailable, tenancy.CodeUnavailable,
			tenancy.CodeUnavailable, tenancy.CodeUnavailable,
		},
	} {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			r := request(user, "/?site=s1")
			_, view := tenancy.Check[viewCalls](g, r)
			_, seal := tenancy.Check[sealCall](g, r)
			_, erase := tenancy.Check[eraseData](g, r)
			_, none := tenancy.Check[nobodys](g, r)
			got := [4]string{code(view), code(seal), code(erase), code(none)}
			require.Equal(t, want, got)
		})
	}
	require.True(t, g.Allows("rep", "calls:view"))
	require.False(t, g.Allows("intern", "calls:view"))
	require.False(t, g.Allows("admin", ""))
}

func TestClaimSources(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil)
	for name, tt := range map[string]struct {
		path, query string
		header      []string
		want        string
	}{
		"path":                   {path: "s1"},
		"query":                  {query: "site=s1"},
		"header":                 {header: []string{"s1"}},
		"all agree":              {path: "s1", query: "site=s1", header: []string{"s1"}},
		"none":                   {want: tenancy.CodeSiteMissing},
		"other parameter":        {query: "site_id=s1", want: tenancy.CodeSiteMissing},
		"path and query":         {path: "s1", query: "site=s2", want: tenancy.CodeSiteConflict},
		"path and header":        {path: "s1", header: []string{"s2"}, want: tenancy.CodeSiteConflict},
		"case differs":           {path: "s1", query: "site=S1", want: tenancy.CodeSiteConflict},
		"query twice":            {query: "site=s1&site=s1", want: tenancy.CodeSiteConflict},
		"header twice":           {header: []string{"s1", "s1"}, want: tenancy.CodeSiteConflict},
		"empty in query":         {path: "s1", query: "site=", want: tenancy.CodeSiteMalformed},
		"empty in header":        {path: "s1", header: []string{""}, want: tenancy.CodeSiteMalformed},
		"list in header":         {header: []string{"s1,s1"}, want: tenancy.CodeSiteMalformed},
		"semicolon":              {query: "site=s1;site=s2", want: tenancy.CodeSiteMalformed},
		"bad escape":             {query: "site=%zz", want: tenancy.CodeSiteMalformed},
		"traversal":              {path: "../s1", want: tenancy.CodeSiteMalformed},
		"space":                  {query: "site=s1%20", want: tenancy.CodeSiteMalformed},
		"newline":                {query: "site=s1%0a", want: tenancy.CodeSiteMalformed},
		"65 characters":          {path: strings.Repeat("a", 65), want: tenancy.CodeSiteMalformed},
		"64 characters, unknown": {path: strings.Repeat("a", 64), want: tenancy.CodeNotFound},
		"membership down":        {path: "down", want: tenancy.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request("rob@a", "/")
			r.SetPathValue("site_id", tt.path)
			r.URL.RawQuery = tt.query
			if tt.header != nil {
				r.Header["X-Site"] = tt.header
			}
			grant, err := tenancy.Check[viewCalls](g, r)
			require.Equal(t, tt.want, code(err))
			if tt.want == "" {
				require.Equal(t, "s1", grant.Site())
				return
			}
			require.Empty(t, grant.Site())
			require.NotContains(t, err.Error(), "s1")
		})
	}
	_, err := tenancy.Check[viewCalls](g, &http.Request{Header: http.Header{"X-User": {"rob@a"}}})
	require.Equal(t, tenancy.CodeSiteMissing, code(err), "nil fields must not panic")
}

// The default alphabet at each of its edges.
func TestDefaultSiteIDs(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil)
	for _, id := range []string{"a", "azAZ09-_", "0123456789abcdef0123456789abcdef"} {
		r := request("rob@a", "/")
		r.SetPathValue("site_id", id)
		_, err := tenancy.Check[viewCalls](g, r)
		require.Equal(t, tenancy.CodeNotFound, code(err), "%q can be an id", id)
	}
	for _, id := range []string{"`", "{", "@", "[", "/", ":", ".", " ", "\x00", "\x7f", "ü", "%"} {
		r := request("rob@a", "/")
		r.SetPathValue("site_id", id)
		_, err := tenancy.Check[viewCalls](g, r)
		require.Equal(t, tenancy.CodeSiteMalformed, code(err), "%q cannot be an id", id)
	}
}

// route is tenancy.Route without an error.
func route[P tenancy.Permission](
	t testing.TB, g *tenancy.Gate, h func(http.ResponseWriter, *http.Request, tenancy.Grant[P]),
) http.Handler {
	t.Helper()
	handler, err := tenancy.Route(g, h)
	require.NoError(t, err)
	return handler
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestUnknownAndForbiddenAreTheSame404(t *testing.T) {
	t.Parallel()
	var seen []sallyport.Event
	g := newGate(t, func(c *tenancy.Config) {
		c.OnEvent = func(_ context.Context, e sallyport.Event) { seen = append(seen, e) }
	})
	h := route(t, g, func(http.ResponseWriter, *http.Request, tenancy.Grant[sealCall]) {
		t.Error("the handler ran")
	})
	var answers []string
	for _, r := range []*http.Request{
		request("rob@aa", "/?site=unknown"), // no such site
		request("eve@aa", "/?site=s1"),      // not a member
		request("rob@aa", "/?site=s1"),      // a member without the permission
		request("odd@aa", "/?site=s1"),      // a role that the table does not know
	} {
		w := serve(h, r)
		answers = append(answers, fmt.Sprint(w.Code, w.Header(), w.Body))
	}
	for _, answer := range answers {
		require.Equal(t, answers[0], answer)
	}
	require.Contains(t, answers[0], `404 `)
	require.Len(t, seen, 4, "one decision per request")
	require.ErrorIs(t, seen[0].Err, tenancy.ErrNotMember, "the hook can tell them apart")
	require.ErrorIs(t, seen[2].Err, tenancy.ErrForbidden)
	require.Equal(t, "rob", seen[2].Actor)
	require.Equal(t, "s1", seen[2].Tenant)
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil)
	var none *tenancy.Gate
	h := func(w http.ResponseWriter, _ *http.Request, grant tenancy.Grant[eraseData]) {
		_, _ = fmt.Fprint(w, grant.User(), grant.Site(), grant.Role())
	}
	for name, tt := range map[string]struct {
		gate      *tenancy.Gate
		user      string
		status    int
		challenge string
		body      string
	}{
		"granted":   {g, "ann@aa", 200, "", "anns1admin"},
		"anonymous": {g, "", 401, "Bearer", `"code":"identity_required"`},
		"step-up": {
			g, "ann@a", 401,
			`Bearer error="insufficient_user_authentication", ` +
				`error_description="Confirm your identity to continue", ` +
				`acr_values="aal2", max_age="300"`,
			`"code":"insufficient_user_authentication"`,
		},
		"cannot tell": {g, "broken", 503, "", `"code":"site_access_unavailable"`},
		"zero gate":   {&tenancy.Gate{}, "ann@aa", 503, "", `"code":"tenancy_not_configured"`},
		"nil gate":    {none, "ann@aa", 503, "", `"code":"tenancy_not_configured"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			guarded, err := tenancy.Route(tt.gate, h)
			require.Equal(t, tt.gate == g, err == nil)
			w := serve(guarded, request(tt.user, "/?site=s1"))
			require.Equal(t, tt.status, w.Code)
			require.Equal(t, tt.challenge, w.Header().Get("WWW-Authenticate"))
			wait := map[string]string{"cannot tell": "5"}[name]
			require.Equal(t, wait, w.Header().Get("Retry-After"))
			require.Contains(t, w.Body.String(), tt.body)
		})
	}
	w := serve(route(t, g, func(http.ResponseWriter, *http.Request, tenancy.Grant[viewCalls]) {
	}), request("ann@a", "/?site=s1"))
	require.NotContains(t, w.Header().Get("WWW-Authenticate"), "max_age")
	require.False(t, none.Allows("admin", "calls:view"))
}

// A role may ask for more than two factors, and the challenge says so.
func TestHardwareKeys(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(c *tenancy.Config) {
		rights := c.Roles["admin"]
		rights.Level = sallyport.AAL3
		c.Roles["admin"] = rights
	})
	_, err := tenancy.Check[eraseData](g, request("ann@aaa", "/?site=s1"))
	require.NoError(t, err)
	_, err = tenancy.Check[eraseData](g, request("ann@aa", "/?site=s1"))
	refused, ok := errors.AsType[*sallyport.Refusal](err)
	require.True(t, ok)
	require.Contains(t, refused.Challenge, `acr_values="aal3"`)
}

func TestStepUpAge(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil)
	for name, tt := range map[string]struct {
		age  time.Duration
		want string
	}{
		"fresh": {time.Minute, ""}, "at the limit": {5 * time.Minute, ""},
		"past it":        {5*time.Minute + 1, tenancy.CodeStepUp},
		"a minute ahead": {-time.Minute, ""}, "further": {-time.Minute - 1, tenancy.CodeStepUp},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				who := sallyport.Principal{Kind: sallyport.KindUser, ID: "ann", Level: 2, AuthTime: time.Now()}
				who.AuthTime = who.AuthTime.Add(-tt.age)
				_, err := tenancy.Authorize[eraseData](t.Context(), g, who, "s1")
				require.Equal(t, tt.want, code(err))
			})
		})
	}
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil)
	rob := sallyport.Principal{Kind: sallyport.KindUser, ID: "rob", Level: sallyport.AAL1}
	for name, tt := range map[string]struct {
		gate *tenancy.Gate
		who  sallyport.Principal
		site string
		want string
	}{
		"granted":   {g, rob, "s1", ""},
		"nobody":    {g, sallyport.Principal{}, "s1", tenancy.CodeIdentityRequired},
		"no site":   {g, rob, "", tenancy.CodeSiteMalformed},
		"zero gate": {nil, rob, "s1", tenancy.CodeNotConfigured},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			grant, err := tenancy.Authorize[viewCalls](t.Context(), tt.gate, tt.who, tt.site)
			require.Equal(t, tt.want, code(err))
			require.Equal(t, tt.want == "", grant.Check() == nil)
		})
	}
}

func TestWrapAndFromContext(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil)
	h, err := tenancy.Wrap[viewCalls](g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		grant, ok := tenancy.FromContext[viewCalls](r.Context())
		require.True(t, ok)
		require.Equal(t, "s1", grant.Site())
		_, ok = tenancy.FromContext[sealCall](r.Context())
		require.False(t, ok, "a grant for one permission is not one for another")
		w.WriteHeader(http.StatusTeapot)
	}))
	require.NoError(t, err)
	require.Equal(t, http.StatusTeapot, serve(h, request("rob@a", "/?site=s1")).Code)
	require.Equal(t, http.StatusNotFound, serve(h, request("eve@a", "/?site=s1")).Code)
}
