package gatetest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/opsmantik/sallyport/tools/gatetest"
	"github.com/stretchr/testify/require"
)

// fatal is a test that keeps what it was failed with.
type fatal struct {
	testing.TB
	text string
}

func (f *fatal) Helper() {}

func (f *fatal) Fatalf(format string, args ...any) {
	f.text = fmt.Sprintf(format, args...)
	panic(f)
}

// problemsOf runs a suite that is wrong.
func problemsOf(t *testing.T, s gatetest.Suite) (text string) {
	t.Helper()
	f := &fatal{TB: t}
	defer func() {
		require.Same(t, f, recover())
		text = f.text
	}()
	gatetest.Check(f, s)
	return ""
}

func hello(testing.TB, io.Writer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
}

// TestSuiteProblems: a suite that proves nothing does not run, and says why, all
// at once.
func TestSuiteProblems(t *testing.T) {
	t.Parallel()
	signIn := func(testing.TB, http.Handler) func(*http.Request) { return nil }
	get := func(change func(*gatetest.Route)) gatetest.Suite {
		r := gatetest.Route{Pattern: "GET /"}
		change(&r)
		return gatetest.Suite{Routes: []gatetest.Route{r}}
	}
	oneUser := get(func(r *gatetest.Route) { r.Other = "/c" })
	oneUser.SignIn[0] = signIn
	for want, s := range map[string]gatetest.Suite{
		"Suite.New is nil":      {},
		"Suite.Routes is empty": {},
		"Suite.Served is empty": {},

		"GET /: is not Public, and Suite.SignIn": get(func(*gatetest.Route) {}),
		"GET /: is Browser, and Suite.Listed":    get(func(r *gatetest.Route) { r.Browser = true }),
		"GET /{id}: Request is not a method":     get(func(r *gatetest.Route) { r.Pattern += "{id}" }),
		"/x: Request is not a method":            get(func(r *gatetest.Route) { r.Pattern = "/x" }),
		"GET /: has Other, and needs two users":  oneUser,
		"GET /: Accept names no attack and no": get(func(r *gatetest.Route) {
			r.Accept = gatetest.Accepted{"x": "y"}
		}),
		`GET /: Accept["flood"] has no reason`: get(func(r *gatetest.Route) {
			r.Accept = gatetest.Accepted{"flood": ""}
		}),
		"GET / is declared twice": {Routes: []gatetest.Route{
			{Pattern: "GET /", Public: true}, {Pattern: "GET /", Public: true},
		}},
	} {
		require.Contains(t, problemsOf(t, s), want)
	}
	require.Len(t, strings.Split(problemsOf(t, gatetest.Suite{}), "\n"), 4, "all at once")
}

// TestFindingsSayWhatToDo: route, gate, attack, what came back, and the fix.
func TestFindingsSayWhatToDo(t *testing.T) {
	t.Parallel()
	found := gatetest.Check(t, gatetest.Suite{
		New: hello, Served: []string{"POST /x"}, Own: "https://api.example.com",
		Routes: []gatetest.Route{{Pattern: "POST /x", Public: true, Body: "{}"}},
	})
	require.NotEmpty(t, found)
	require.Equal(t, `POST /x: cors: page of another site
	got: 200 without a code, not origin_not_listed or foreign_page
	fix: put the route behind a cors.Gate that lists only the pages which need it`,
		found[0].String())
}

// TestRefusedByAnotherGate: 403 alone is not the right refusal.
func TestRefusedByAnotherGate(t *testing.T) {
	t.Parallel()
	forbids := func(testing.TB, io.Writer) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Origin") != "" {
				http.Error(w, "no", http.StatusForbidden)
			}
		})
	}
	found := gatetest.Check(t, gatetest.Suite{
		New: forbids, Served: []string{"GET /x"},
		Routes: []gatetest.Route{{Pattern: "GET /x", Public: true}},
	})
	require.Equal(t, "page of another site", found[0].Attack)
	require.Equal(t, "403 without a code, not origin_not_listed or foreign_page", found[0].Got)
}

// TestRequestsAreWhatServersGet: gates read RequestURI, Host and the peer.
func TestRequestsAreWhatServersGet(t *testing.T) {
	t.Parallel()
	seen := 0
	gatetest.Check(t, gatetest.Suite{
		New: func(testing.TB, io.Writer) http.Handler {
			return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				seen++
				require.Equal(t, r.URL.RequestURI(), r.RequestURI)
				require.True(t, strings.HasPrefix(r.RequestURI, "/x/a%20b?q=1"), r.RequestURI)
				require.Equal(t, "api.example.com", r.Host)
				require.NotEmpty(t, r.RemoteAddr)
				require.NotNil(t, r.Body)
			})
		},
		Own: "https://api.example.com", Served: []string{"GET /x/{name}"},
		Routes: []gatetest.Route{
			{Pattern: "GET /x/{name}", Request: "GET /x/a%20b?q=1", Public: true, Limit: 1},
		},
	})
	require.Greater(t, seen, 20)
}

// TestFreshServers: nothing that one attack leaves reaches the next.
func TestFreshServers(t *testing.T) {
	t.Parallel()
	made, used, open := 0, 0, 0
	gatetest.Check(t, gatetest.Suite{
		New: func(tb testing.TB, log io.Writer) http.Handler {
			made++
			open++
			require.Equal(t, 1, open, "the last one is closed")
			tb.Cleanup(func() { open-- })
			first := true
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if first {
					used++
				}
				first = false
				hello(t, log).ServeHTTP(w, r)
			})
		},
		Served: []string{"GET /x"}, Routes: []gatetest.Route{{Pattern: "GET /x", Public: true}},
	})
	require.Equal(t, made, used)
	require.Zero(t, open)
	require.Greater(t, made, 5)
}

// TestStatusOfTheGenuine: 200 to 299, or what is declared.
func TestStatusOfTheGenuine(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		answers  int
		declared []int
		want     bool
	}{
		{200, nil, true},
		{299, nil, true},
		{300, nil, false},
		{404, nil, false},
		{404, []int{404}, true},
		{200, []int{404}, false},
	} {
		found := gatetest.Check(t, gatetest.Suite{
			New: func(testing.TB, io.Writer) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(row.answers)
				})
			},
			Served: []string{"GET /x"},
			Routes: []gatetest.Route{{
				Pattern: "GET /x", Public: true, Status: row.declared,
				Accept: gatetest.Accepted{"cors": "not what this is about"},
			}},
		})
		require.Equal(t, row.want, len(found) == 0, "%+v: %v", row, found)
	}
}

// TestRunReports: with Run, a test of a sound server has nothing to say.
func TestRunReports(t *testing.T) {
	t.Parallel()
	gatetest.Run(t, gatetest.Suite{
		New: hello, Served: []string{"GET /robots.txt"},
		Routes: []gatetest.Route{{
			Pattern: "GET /robots.txt", Public: true,
			Accept: gatetest.Accepted{"cors": "public data"},
		}},
	})
}
