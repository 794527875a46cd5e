package cors_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/cors"
	"github.com/stretchr/testify/require"
)

// TestNewOriginProblems: one entry, one problem, named with what to write.
func TestNewOriginProblems(t *testing.T) {
	t.Parallel()
	secure := "https://app.example.com"
	for entry, want := range map[string]string{
		"":                                "is empty",
		"*":                               "not one origin among others",
		"null":                            "every sandboxed page sends null",
		secure + "/":                      "trailing slash",
		secure + "/path":                  "path, query or fragment",
		secure + "/path/":                 "path, query or fragment",
		secure + "?q":                     "path, query or fragment",
		secure + "#f":                     "path, query or fragment",
		"https://App.example.com":         "upper case",
		"HTTPS://app.example.com":         "upper case",
		"https://app.example.com:443":     "default port",
		"http://localhost:80":             "default port",
		"https://bücher.example":          "punycode",
		"https://app.example.com\x7f":     "punycode",
		"https://app example.com":         "space or a control",
		" https://app.example.com":        "space or a control",
		"https://app.example.com\n":       "space or a control",
		"app.example.com":                 "no scheme",
		"https:app.example.com":           "no scheme",
		"wss://app.example.com":           "WebSocket handshakes carry the page's origin",
		"ws://localhost:8080":             "WebSocket handshakes carry the page's origin",
		"http://app.example.com":          "use https",
		"http://127.0.0.1.example.com":    "use https",
		"http://localhost.example.com":    "use https",
		"http://notlocalhost":             "use https",
		"http://[::2]":                    "use https",
		"https://":                        "is not an origin",
		"https://a~b.example.com":         "is not an origin",
		"https://a!b.example.com":         "is not an origin",
		"https://app..example.com":        "is not an origin",
		"https://app.example.com:0443":    "is not an origin",
		"https://[app.example.com]":       "is not an origin",
		"https://[0:0:0:0:0:0:0:1]":       "is not an origin",
		"https://[::ffff:102:304]":        "is not an origin",
		"https://[1::2:0:0:0:3]":          "is not an origin",
		"https://example.*":               "an asterisk stands for whole leading labels",
		"https://a*.example.com":          "an asterisk stands for whole leading labels",
		"https://app.example.com:*":       "any port is for loopback only",
		"https://*.*.example.com":         "an asterisk stands for whole leading labels",
		"https://a.*.example.com":         "an asterisk stands for whole leading labels",
		"https://*":                       "an asterisk stands for whole leading labels",
		"https://*.":                      "an asterisk stands for whole leading labels",
		"https://*.0.0.1":                 "an asterisk stands for whole leading labels",
		"capacitor://*.example.com":       "an asterisk stands for whole leading labels",
		"*.example.com":                   "no scheme",
		"https://*.com":                   "public suffix",
		"https://*.com.":                  "public suffix",
		"https://*.com:8443":              "public suffix",
		"https://*.github.io":             "public suffix",
		"https://*.kawasaki.jp":           "public suffix", // the rule is "*.kawasaki.jp"
		"https://*.shop.kawasaki.jp":      "public suffix",
		"http://*.example.com":            "use https",
		"https://" + longHost(254):        "is not an origin",
		strings.Repeat("h", 400) + "://a": "is not an origin",
	} {
		t.Run(entry, func(t *testing.T) {
			t.Parallel()
			_, err := cors.New(cors.Config{
				Origins: []string{secure, entry}, OwnOrigins: none,
				PublicSuffix: func(domain string) (string, bool) {
					if domain == "github.io" {
						return domain, false
					}
					if below, ok := strings.CutSuffix(domain, ".kawasaki.jp"); ok {
						return below[strings.LastIndexByte(below, '.')+1:] + ".kawasaki.jp", true
					}
					return lastLabel(domain)
				},
			})
			problems := problemsOf(t, err)
			require.Len(t, problems, 1)
			require.Equal(t, "Origins[1]", problems[0].Field)
			require.NotEmpty(t, problems[0].Code)
			require.Equal(t, entry, problems[0].Value)
			require.Contains(t, problems[0].Fix, want)
		})
	}
}

// TestPasswordsStayOutOfErrors: an origin with userinfo is a mistake that may
// hold a secret.
func TestPasswordsStayOutOfErrors(t *testing.T) {
	for entry, want := range map[string]string{
		"https://user:hunter2@a.test":        "https://...@a.test",
		"https://user:hunter2@hunter2@b.c/x": "https://...@b.c/x",
		"user:hunter2@a.test":                "...@a.test",
		"@a.test":                            "...@a.test",
		"https://@a.test":                    "https://...@a.test",
	} {
		_, err := cors.New(cors.Config{Origins: []string{entry}, OwnOrigins: none})
		require.NotContains(t, err.Error(), "hunter2")
		require.Equal(t, want, problemsOf(t, err)[0].Value)
		t.Setenv("ALLOWED_ORIGINS", entry)
		_, err = cors.FromEnv("ALLOWED_ORIGINS")
		require.NotContains(t, err.Error(), "hunter2")
	}
	_, err := cors.New(cors.Config{Origins: []string{"https://user:hunter2@a.test"}})
	require.ErrorContains(t, err, "has userinfo")
}

// problemsOf unpacks what New and FromEnv join.
func problemsOf(t testing.TB, err error) []*sallyport.ConfigError {
	t.Helper()
	require.Error(t, err)
	joined, ok := err.(interface{ Unwrap() []error })
	require.True(t, ok, "not joined: %v", err)
	var all []*sallyport.ConfigError
	for _, err := range joined.Unwrap() {
		problem, ok := errors.AsType[*sallyport.ConfigError](err)
		require.True(t, ok, "not a ConfigError: %v", err)
		all = append(all, problem)
	}
	return all
}

// TestNewFieldProblems: everything but the grammar of origins.
func TestNewFieldProblems(t *testing.T) {
	t.Parallel()
	app := []string{"https://app.example.com"}
	tenant := func(*http.Request) string { return "" }
	request := func(names ...string) cors.Config {
		return cors.Config{Origins: app, RequestHeaders: names}
	}
	exposed := func(names ...string) cors.Config {
		return cors.Config{Origins: app, ExposedHeaders: names}
	}
	for name, test := range map[string]struct {
		cfg  cors.Config
		want string
	}{
		"tenants, and no own origins": {cors.Config{Tenant: tenant}, "cors: OwnOrigins: is empty"},
		"no own origins":              {cors.Config{Origins: app}, "cors: OwnOrigins: is empty; list where browsers"},
		"none among others": {
			cors.Config{Origins: app, OwnOrigins: []string{"none", "https://a.test"}},
			`cors: OwnOrigins[0]: "none": has no scheme`,
		},
		"any with credentials": {
			cors.Config{Origins: []string{"*"}, Credentials: true},
			"cors: Credentials: any site could act as its visitors",
		},
		"any own origin": {
			cors.Config{OwnOrigins: []string{"*"}}, `cors: OwnOrigins[0]: "*": "*" is not`,
		},
		"insecure own":     {cors.Config{OwnOrigins: []string{"http://a.test"}}, `"http://a.test"`},
		"duplicate":        {cors.Config{Origins: append(app, app...)}, "is listed twice"},
		"pattern, no list": {cors.Config{Origins: []string{"https://*.a.test"}}, "needs PublicSuffix"},
		"duplicate pattern": {
			cors.Config{
				Origins:      []string{"https://*.a.test", "https://*.a.test"},
				PublicSuffix: lastLabel,
			},
			"is listed twice",
		},
		"tenant without name": {
			cors.Config{Tenant: tenant, Tenants: map[string][]string{"": app}},
			`cors: Tenants: the key "" means no tenant`,
		},
		"tenant's entry": {
			cors.Config{Tenant: tenant, Tenants: map[string][]string{"a\n": {"null"}}},
			`cors: Tenants["a\n"][0]: "null": every sandboxed`,
		},
		"tenant's star": {
			cors.Config{Tenant: tenant, Tenants: map[string][]string{"a": {"*"}}},
			`cors: Tenants["a"][0]: "*"`,
		},
		"tenant beyond the list": {
			cors.Config{Origins: app, Tenants: map[string][]string{"a": {"https://b.test"}}},
			`cors: Tenants["a"][0]: "https://b.test": is not covered by Origins`,
		},
		"tenant's pattern beyond the list": {
			cors.Config{
				Origins: app, PublicSuffix: lastLabel,
				Tenants: map[string][]string{"a": {"https://*.example.com"}},
			},
			"is not covered by Origins",
		},
		"tenant's wider pattern": {
			cors.Config{
				Origins: []string{"https://*.a.example.com"}, PublicSuffix: lastLabel,
				Tenants: map[string][]string{"a": {"https://*.example.com"}},
			},
			"is not covered by Origins",
		},
		"method star":       {cors.Config{Origins: app, Methods: []string{"*"}}, "name the methods"},
		"method syntax":     {cors.Config{Origins: app, Methods: []string{"P T"}}, "is not a method"},
		"method empty":      {cors.Config{Origins: app, Methods: []string{""}}, "is not a method"},
		"method case":       {cors.Config{Origins: app, Methods: []string{"patch"}}, "want upper case"},
		"method CONNECT":    {cors.Config{Origins: app, Methods: []string{"CONNECT"}}, "never send"},
		"method TRACE":      {cors.Config{Origins: app, Methods: []string{"TRACE"}}, "never send"},
		"method TRACK":      {cors.Config{Origins: app, Methods: []string{"TRACK"}}, "never send"},
		"method twice":      {cors.Config{Origins: app, Methods: []string{"PUT", "PUT"}}, "listed twice"},
		"header star":       {request("*"), "name the"},
		"header syntax":     {request("X:"), "not a header"},
		"header @":          {request("X@"), "not a header"},
		"header [":          {request("X["), "not a header"},
		"header not ASCII":  {request("Xé"), "not a header"},
		"header empty":      {request(""), "not a header"},
		"header forbidden":  {request("Cookie"), "scripts send"},
		"header Sec-":       {request("Sec-A"), "scripts send"},
		"header Proxy-":     {request("Proxy-A"), "scripts send"},
		"header CORS":       {request("Access-Control-A"), "scripts send"},
		"header twice":      {request("X-A", "x-a"), "listed twice"},
		"exposed star":      {exposed("*"), "name the"},
		"exposed syntax":    {exposed("X A"), "not a header"},
		"exposed cookie":    {exposed("Set-Cookie"), "scripts read"},
		"exposed cookie 2":  {exposed("set-cookie2"), "scripts read"},
		"exposed twice":     {exposed("A", "a"), "listed twice"},
		"age over":          {cors.Config{Origins: app, MaxAge: 86_401 * time.Second}, "beyond 24h"},
		"age fraction":      {cors.Config{Origins: app, MaxAge: time.Second + 1}, "whole seconds"},
		"status 199":        {cors.Config{Origins: app, PreflightStatus: 199}, "want 200 to 299"},
		"status 300":        {cors.Config{Origins: app, PreflightStatus: 300}, "want 200 to 299"},
		"status negative":   {cors.Config{Origins: app, PreflightStatus: -1}, "want 200 to 299"},
		"no-origin unknown": {cors.Config{Origins: app, NoOrigin: 3}, "not one of the three policies"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.cfg.OwnOrigins == nil && !strings.Contains(name, "no own origins") {
				test.cfg.OwnOrigins = none
			}
			gate, err := cors.New(test.cfg)
			require.Len(t, problemsOf(t, err), 1, "%v", err)
			require.ErrorContains(t, err, test.want)
			require.Nil(t, gate)
		})
	}
}

// TestNothingConfigured: whose pages may call, and where is this server?
func TestNothingConfigured(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]cors.Config{
		"nil": {},
		"empty lists": {
			Origins: []string{}, OwnOrigins: []string{}, Tenants: map[string][]string{},
		},
	} {
		_, err := cors.New(cfg)
		problems := problemsOf(t, err)
		require.Len(t, problems, 2, name)
		require.Equal(t, "Origins", problems[0].Field)
		require.Contains(t, problems[0].Fix, "is empty, and so are OwnOrigins and Tenant")
		require.Equal(t, "OwnOrigins", problems[1].Field)
		require.Equal(t, sallyport.ConfigRequired, problems[0].Code)
		require.Equal(t, sallyport.ConfigRequired, problems[1].Code)
	}
}

// TestNewAllProblems: an operator fixes a configuration in one go.
func TestNewAllProblems(t *testing.T) {
	t.Parallel()
	_, err := cors.New(cors.Config{
		Origins:         []string{"null", "https://a.test/"},
		OwnOrigins:      []string{"A"},
		Tenants:         map[string][]string{"b": {""}, "a": {""}},
		Methods:         []string{"*"},
		RequestHeaders:  []string{"*"},
		ExposedHeaders:  []string{"*"},
		MaxAge:          time.Millisecond,
		PreflightStatus: 404,
		NoOrigin:        9,
	})
	var fields []string
	for _, problem := range problemsOf(t, err) {
		fields = append(fields, problem.Field)
	}
	require.Equal(t, []string{
		"Origins[0]", "Origins[1]", "OwnOrigins[0]", `Tenants["a"][0]`, `Tenants["b"][0]`,
		"Methods[0]", "RequestHeaders[0]", "ExposedHeaders[0]", "MaxAge", "PreflightStatus", "NoOrigin",
	}, fields)
}

// TestNewAccepts: the edges that are fine.
func TestNewAccepts(t *testing.T) {
	t.Parallel()
	app := []string{"https://app.example.com"}
	for name, cfg := range map[string]cors.Config{
		"loopback": {Origins: []string{
			"http://localhost", "http://localhost:9102", "http://app.localhost:3000",
			"http://127.0.0.1:9102", "http://127.255.255.254", "http://[::1]:65535",
		}},
		"loopback with credentials": {Origins: []string{"http://localhost:1"}, Credentials: true},
		"insecure, explicitly": {
			Origins: []string{"http://app.example.com"}, DangerouslyAllowInsecureOrigins: true,
		},
		"any":                                {Origins: []string{"*"}},
		"own only":                           {OwnOrigins: app},
		"own pages, by Sec-Fetch-Site alone": {OwnOrigins: none},
		"tenant only":                        {Tenant: func(*http.Request) string { return "" }},
		"tenant within the list": {
			Origins:      []string{"https://*.example.com", "https://a.test"},
			PublicSuffix: lastLabel,
			Tenants: map[string][]string{
				"a": {"https://a.test", "https://x.example.com", "https://*.x.example.com"},
				"b": {"https://*.example.com"},
				"c": nil,
			},
		},
		"tenant within any": {
			Origins: []string{"*"}, PublicSuffix: lastLabel,
			Tenants: map[string][]string{"a": {"https://a.test", "https://*.b.test"}},
		},
		"listed and own": {Origins: app, OwnOrigins: app},
		"token":          {Origins: app, RequestHeaders: []string{"!#$%&'*+-.^_`|~09azAZ"}},
		"age":            {Origins: app, MaxAge: 24 * time.Hour},
		"age off":        {Origins: app, MaxAge: -1},
		"status":         {Origins: app, PreflightStatus: 299},
		"status 200":     {Origins: app, PreflightStatus: 200},
		"no-origin":      {Origins: app, NoOrigin: cors.NoOriginRefuse},
		"trailing dot":   {Origins: []string{"https://app.example.com."}},
		"IPv6": {Origins: []string{
			"https://[2001:db8::1]", "https://[1:0:2:3:4:5:6:7]:1", "https://[1:0:0:2::3]",
		}},
		"bare name": {Origins: []string{"https://intranet", "https://a_b.test", "https://a-.test"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newGate(t, cfg)
		})
	}
}

// TestNewCopies: a Config that changes later changes nothing.
func TestNewCopies(t *testing.T) {
	t.Parallel()
	cfg := cors.Config{
		Origins:        []string{"https://app.example.com"},
		Methods:        []string{"PUT"},
		RequestHeaders: []string{"X-A"},
		Tenants:        map[string][]string{"t": {"https://app.example.com"}},
	}
	gate := newGate(t, cfg)
	cfg.Origins[0], cfg.Methods[0], cfg.RequestHeaders[0] = "https://evil.test", "DELETE", "X-B"
	cfg.Tenants["t"][0] = "https://evil.test"
	cfg.Tenants["u"] = []string{"https://evil.test"}

	row := row{
		config: "plain", method: "OPTIONS", origin: "https://app.example.com", site: "cross-site",
		extra: "acrm=PUT;acrh=x-a",
	}
	require.True(t, check(gate, row.request()).Allowed)
	row.origin = "https://evil.test"
	require.False(t, check(gate, row.request()).Allowed)
	require.Error(t, gate.CheckTenant(newRequest("POST", "Origin", evil), "t"))
	require.Error(t, gate.CheckTenant(newRequest("POST", "Origin", evil), "u"))
}

func TestFromEnv(t *testing.T) {
	const name = "ALLOWED_ORIGINS"
	for value, want := range map[string][]string{
		"https://a.test":                      {"https://a.test"},
		" https://a.test ,\thttps://b.test\n": {"https://a.test", "https://b.test"},
		"http://localhost:9102,http://c.test": {"http://localhost:9102", "http://c.test"},
		"https://*.a.test":                    {"https://*.a.test"},
	} {
		t.Run(value, func(t *testing.T) {
			t.Setenv(name, value)
			got, err := cors.FromEnv(name)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
	for value, want := range map[string]string{
		"":                              "cors: ALLOWED_ORIGINS: is unset or empty",
		" \t ":                          "cors: ALLOWED_ORIGINS: is unset or empty",
		"*":                             `cors: ALLOWED_ORIGINS: "*": "*" is not one origin among others`,
		"https://a.test,":               "cors: ALLOWED_ORIGINS: is empty; remove the entry",
		",":                             "cors: ALLOWED_ORIGINS: is empty; remove the entry",
		"https://a.test https://b.test": "has a space",
		"https://a.test,https://a.test": `"https://a.test": is listed twice`,
		"null":                          "null",
		"https://a.test/":               "trailing slash",
	} {
		t.Run(fmt.Sprintf("%q", value), func(t *testing.T) {
			t.Setenv(name, value)
			got, err := cors.FromEnv(name)
			require.Empty(t, got)
			require.ErrorContains(t, err, want)
			problemsOf(t, err)
		})
	}
	t.Run("unset", func(t *testing.T) {
		_, err := cors.FromEnv("SALLYPORT_TEST_NO_SUCH_VARIABLE")
		require.ErrorContains(t, err, "SALLYPORT_TEST_NO_SUCH_VARIABLE: is unset")
	})
	t.Run("every problem", func(t *testing.T) {
		t.Setenv(name, "*,https://a.test,null,b")
		_, err := cors.FromEnv(name)
		require.Len(t, problemsOf(t, err), 3)
	})
}
