package gatetest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opsmantik/sallyport/tools/gatetest"
	"github.com/stretchr/testify/require"
)

// The attacks of tenants.
const (
	dataRead  = "data of another tenant"
	changed   = "rows of another tenant changed"
	toldApart = "id of another tenant is told from none"
	toldTime  = "id of another tenant is told by time"
)

// isolation runs the kit and returns what its tenants found.
func isolation(t *testing.T, s gatetest.Suite) (found []gatetest.Finding) {
	t.Helper()
	names := []string{dataRead, changed, toldApart, toldTime, "request of each tenant", "limit before isolation"}
	for _, f := range gatetest.Check(t, s) {
		if slices.Contains(names, f.Attack) {
			found = append(found, f)
		}
	}
	return found
}

func TestTenantsOfASoundServiceDoNotMeet(t *testing.T) {
	t.Parallel()
	require.Empty(t, isolation(t, notesSuite(func(*notes) {})))
}

type handle = func(*notes, http.ResponseWriter, *http.Request, string)

func on(pattern string, h handle) func(*notes) {
	return func(s *notes) { s.routes = map[string]handle{pattern: h} }
}

// leaky are services with one mistake, the attack that has to find it, and words of the
// finding: the place, the spelling, or what differs.
var leaky = []struct {
	mistake, route, attack, says string
	change                       func(*notes)
}{
	{
		"the note is loaded by its id alone", "GET /notes/{note}", dataRead, "path {note}, plain",
		on("GET /notes/{note}", func(s *notes, w http.ResponseWriter, r *http.Request, _ string) {
			s.find = anybody
			show(s, w, r, "")
		}),
	},
	{
		"an update by id alone", "PUT /notes/{note}", changed, "path {note}, plain: GET /mine of tenant globex",
		on("PUT /notes/{note}", func(s *notes, w http.ResponseWriter, r *http.Request, user string) {
			if n := s.rows[s.id(r)]; n != nil && n.Tenant != tenantOf(user) {
				n.Text = "overwritten" // and it answers as for none
			}
			put(s, w, r, user)
		}),
	},
	{
		"a blind delete", "DELETE /notes/{note}", changed, "path {note}, plain",
		on("DELETE /notes/{note}", func(s *notes, w http.ResponseWriter, r *http.Request, _ string) {
			delete(s.rows, s.id(r))
			w.WriteHeader(http.StatusNoContent)
		}),
	},
	{
		"the tenant of the path is believed", "GET /tenants/{tenant}/notes", dataRead, "path {tenant}, plain",
		func(s *notes) { s.site = func(r *http.Request, _ string) string { return r.PathValue("tenant") } },
	},
	{
		"a query names the tenant too", "GET /tenants/{tenant}/notes", dataRead, "query tenant added",
		func(s *notes) {
			sound := s.site
			s.site = func(r *http.Request, user string) string {
				if other := r.URL.Query().Get("tenant"); other != "" {
					return other
				}
				return sound(r, user)
			}
		},
	},
	{
		"a header names the tenant", "GET /mine", dataRead, "header X-Tenant-Id added",
		on("GET /mine", func(s *notes, w http.ResponseWriter, r *http.Request, user string) {
			if other := r.Header.Get("X-Tenant-Id"); other != "" {
				user = other
			}
			mine(s, w, r, user)
		}),
	},
	{
		"a cookie names the tenant", "GET /mine", dataRead, "cookie tenant added",
		on("GET /mine", func(s *notes, w http.ResponseWriter, r *http.Request, user string) {
			if c, err := r.Cookie("tenant"); err == nil {
				user = c.Value
			}
			mine(s, w, r, user)
		}),
	},
	{
		"a form overrides the path", "PUT /notes/{note}", changed, "form note added",
		func(s *notes) {
			s.routes = map[string]handle{"PUT /notes/{note}": func(
				s *notes, w http.ResponseWriter, r *http.Request, user string,
			) {
				n := s.find(s, user, r.PathValue("note"))
				if other := s.rows[r.FormValue("note")]; n != nil && other != nil {
					other.Text = "overwritten"
				}
				if n == nil {
					s.missing(w, r)
					return
				}
				write(w, n)
			}}
		},
	},
	{
		"a member that structures are filled from", "PUT /notes/{note}", changed, "JSON tenant",
		on("PUT /notes/{note}", func(s *notes, w http.ResponseWriter, r *http.Request, user string) {
			n := s.find(s, user, s.id(r))
			if n == nil {
				s.missing(w, r)
				return
			}
			_ = json.NewDecoder(r.Body).Decode(n) // mass assignment: Tenant too
			write(w, struct{}{})
		}),
	},
	{
		"a nested member", "POST /move", dataRead, "JSON data.note",
		on("POST /move", func(s *notes, w http.ResponseWriter, r *http.Request, user string) {
			var body struct {
				Data struct{ Note string }
			}
			text, _ := io.ReadAll(r.Body)
			_ = json.Unmarshal(text, &body)
			if n := s.rows[body.Data.Note]; n != nil {
				write(w, n)
				return
			}
			r.Body = io.NopCloser(strings.NewReader(string(text)))
			move(s, w, r, user)
		}),
	},
	{
		"the body's id is not checked", "POST /move", changed, "body {note}, plain",
		on("POST /move", func(s *notes, w http.ResponseWriter, r *http.Request, user string) {
			s.find = anybody
			move(s, w, r, user)
		}),
	},
	{
		"only the first of a list is checked", "POST /batch", dataRead, "own first, in an array",
		on("POST /batch", func(s *notes, w http.ResponseWriter, r *http.Request, user string) {
			var body struct{ Notes []json.RawMessage }
			_ = json.NewDecoder(r.Body).Decode(&body)
			all := []note{}
			for _, item := range body.Notes {
				var ids []string
				if json.Unmarshal(item, &ids) != nil {
					ids = []string{strings.Trim(string(item), `"`)}
				}
				if s.find(s, user, ids[0]) == nil {
					continue
				}
				for _, id := range ids {
					if n := s.rows[id]; n != nil {
						all = append(all, *n)
					}
				}
			}
			write(w, all)
		}),
	},
	{
		"the last of repeated parameters", "GET /search", dataRead, "own first, repeated",
		on("GET /search", func(s *notes, w http.ResponseWriter, r *http.Request, user string) {
			all := r.URL.Query()["note"]
			if s.find(s, user, r.URL.Query().Get("note")) == nil {
				write(w, []note{})
				return
			}
			write(w, []*note{s.rows[all[len(all)-1]]})
		}),
	},
	{
		"the id is decoded once more", "GET /notes/{note}", dataRead, "percent-encoded twice",
		func(s *notes) { s.find = through(unescape) },
	},
	{
		"the id is folded behind the test", "GET /notes/{note}", dataRead, "upper case",
		func(s *notes) { s.find = through(strings.ToLower) },
	},
	{
		"dashes are added behind the test", "GET /notes/{note}", dataRead, "without dashes",
		func(s *notes) { s.find = through(withDashes) },
	},
	{
		"spaces are trimmed behind the test", "GET /notes/{note}", dataRead, "trailing space",
		func(s *notes) { s.find = through(strings.TrimSpace) },
	},
	{
		"dots are trimmed behind the test", "GET /notes/{note}", dataRead, "trailing dot",
		func(s *notes) { s.find = through(func(id string) string { return strings.TrimRight(id, ".") }) },
	},
	{
		"the store ends texts at a null byte", "GET /notes/{note}", dataRead, "null byte",
		func(s *notes) { s.find = through(func(id string) string { return strings.Split(id, "\x00")[0] }) },
	},
	{
		"a list in one id", "GET /notes/{note}", dataRead, "own first, in a list",
		func(s *notes) {
			s.find = through(func(id string) string { return id[strings.LastIndexByte(id, ',')+1:] })
		},
	},
	{
		"full-width letters are folded", "GET /notes/{note}", dataRead, "full-width letters",
		func(s *notes) {
			s.find = through(func(id string) string {
				return strings.Map(func(r rune) rune {
					if r >= '\uff01' && r <= '\uff5e' {
						return r - '\uff01' + '!'
					}
					return r
				}, id)
			})
		},
	},
	{
		"the id is a pattern", "GET /notes/{note}", dataRead, "LIKE pattern",
		func(s *notes) {
			s.find = func(s *notes, user, id string) *note {
				prefix, like := strings.CutSuffix(id, "%")
				for _, n := range s.rows {
					if n.ID == id && n.Tenant == tenantOf(user) || like && strings.HasPrefix(n.ID, prefix) {
						return n
					}
				}
				return nil
			}
		},
	},
	{
		"an empty id selects all", "GET /search", dataRead, `query {note}, ""`,
		on("GET /search", func(s *notes, w http.ResponseWriter, r *http.Request, user string) {
			if r.URL.Query().Get("note") == "" {
				write(w, s.of(func(*note) bool { return true }))
				return
			}
			search(s, w, r, user)
		}),
	},
	{
		"403 for what is another's", "GET /notes/{note}", toldApart, "403, not 404",
		on("GET /notes/{note}", told(http.StatusForbidden, "X-None", "")),
	},
	{
		"a header for what is another's", "GET /notes/{note}", toldApart, "header X-Owner",
		on("GET /notes/{note}", told(http.StatusNotFound, "X-Owner", "somebody")),
	},
	{
		"another text for what is another's", "GET /notes/{note}", toldApart, "body:",
		on("GET /notes/{note}", func(s *notes, w http.ResponseWriter, r *http.Request, user string) {
			if n := s.rows[s.id(r)]; n != nil && n.Tenant != tenantOf(user) {
				w.WriteHeader(http.StatusNotFound)
				_, _ = io.WriteString(w, `{"code":"resource_not_found","hint":"not in your workspace"}`)
				return
			}
			show(s, w, r, user)
		}),
	},
	{
		"another method has no test", "GET /notes/{note}", dataRead, "POST, path {note}",
		func(s *notes) {
			s.routes = map[string]handle{"GET /notes/{note}": show}
			s.extra = map[string]handle{"POST /notes/{note}": func(
				s *notes, w http.ResponseWriter, r *http.Request, _ string,
			) {
				s.find = anybody
				show(s, w, r, "")
			}}
		},
	},
	{
		"only the second user's role is not tested", "GET /notes/{note}", dataRead, "acme, user 2",
		on("GET /notes/{note}", func(s *notes, w http.ResponseWriter, r *http.Request, user string) {
			if strings.HasSuffix(user, "-2") {
				s.find = anybody
			}
			show(s, w, r, user)
		}),
	},
	{
		"another's note is moved into one's own", "POST /move", changed, "body {note}, plain: GET /mine then answers",
		on("POST /move", func(s *notes, w http.ResponseWriter, r *http.Request, user string) {
			var body struct{ Note, Folder string }
			text, _ := io.ReadAll(r.Body)
			_ = json.Unmarshal(text, &body)
			if n := s.rows[body.Note]; n != nil && n.Tenant != tenantOf(user) {
				copied := *n
				copied.ID, copied.Tenant = "copy", tenantOf(user)
				s.rows["copy"] = &copied
			}
			r.Body = io.NopCloser(strings.NewReader(string(text)))
			move(s, w, r, user)
		}),
	},
}

func withDashes(id string) string {
	if len(id) != 32 {
		return id
	}
	return id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
}

// TestEachLeakIsCaught by the attack that is meant for it, with the place and the
// spelling that let it through.
func TestEachLeakIsCaught(t *testing.T) {
	t.Parallel()
	require.GreaterOrEqual(t, len(leaky), 20)
	for _, l := range leaky {
		t.Run(l.mistake, func(t *testing.T) {
			t.Parallel()
			s := notesSuite(l.change)
			s.Routes = slices.DeleteFunc(s.Routes, func(r gatetest.Route) bool {
				return r.Pattern != l.route && r.Pattern != "GET /mine"
			})
			found := isolation(t, s)
			require.True(t, slices.ContainsFunc(found, func(f gatetest.Finding) bool {
				return f.Route == l.route && f.Attack == l.attack && strings.Contains(f.Got, l.says)
			}), "not caught; findings: %v", found)
		})
	}
}

// TestTimeTells: a delay of 5 ms is found among a jitter of as much, and none is found
// where there is only jitter. The clock is that of a bubble: the machine's load has no
// part in it.
func TestTimeTells(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		change func(*notes)
		want   bool
	}{
		{"5 ms for what exists", func(s *notes) { s.find = slow(5 * time.Millisecond) }, true},
		{"5 ms among jitter", func(s *notes) { s.find, s.jitter = slow(5*time.Millisecond), 5 }, true},
		{"jitter alone", func(s *notes) { s.jitter = 20 }, false},
		{"too little to matter", func(s *notes) { s.find = slow(100 * time.Microsecond) }, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := notesSuite(row.change)
				s.Served, s.Routes = []string{notesServed[1]}, s.Routes[1:2]
				found := isolation(t, s)
				require.Equal(t, row.want, len(found) > 0, "%v", found)
				for _, f := range found {
					require.Equal(t, toldTime, f.Attack)
					require.Contains(t, f.Got, "path {note}: ")
					require.Contains(t, f.Got, "longer for an id of tenant globex")
				}
			})
		})
	}
}

// TestTenantProblems: tenants that prove nothing are refused, with the reason.
func TestTenantProblems(t *testing.T) {
	t.Parallel()
	one := gatetest.Tenant{
		Name: "a", Users: []gatetest.SignIn{bearer("a")}, IDs: map[string][]string{"note": {"1"}},
	}
	other := one
	other.Name, other.IDs = "b", map[string][]string{"order": {"1"}}
	short := one
	short.Canaries = []string{"x"}
	for want, tenants := range map[string][]gatetest.Tenant{
		"isolation needs two tenants":               {one},
		"b: every tenant owns something of each":    {one, other},
		"a: canary is too short":                    {short, one},
		": Name, Users and IDs are required":        {one, {}},
		"no tenant owns what /notes/{missing} name": {one, one},
	} {
		s := gatetest.Suite{
			New: hello, Served: []string{"GET /notes/{missing}"},
			Tenants: func(testing.TB, http.Handler) []gatetest.Tenant { return tenants },
			Routes:  []gatetest.Route{{Pattern: "GET /notes/{missing}"}},
		}
		require.Contains(t, problemsOf(t, s), want)
	}
}

// TestTenantsOwnWhatTheyAskFor: or nothing that is refused them proves anything.
func TestTenantsOwnWhatTheyAskFor(t *testing.T) {
	t.Parallel()
	s := notesSuite(func(s *notes) { delete(s.rows, globexNote) })
	found := isolation(t, s)
	require.NotEmpty(t, found)
	for _, f := range found {
		require.Equal(t, "request of each tenant", f.Attack)
		require.Contains(t, f.Got, "tenant globex: 404 resource_not_found")
	}
}

// TestLimitsStandInTheWay: a limit that hides what is behind it is told, and one by
// address is passed.
func TestLimitsStandInTheWay(t *testing.T) {
	t.Parallel()
	limited := func(key func(*http.Request) string, most int, change func(*notes)) gatetest.Suite {
		s := notesSuite(change)
		sound := s.New
		s.New = func(tb testing.TB, log io.Writer) http.Handler {
			return countingTo(most, key, "1")(sound(tb, log))
		}
		s.Served, s.Routes = notesServed[1:2], s.Routes[1:2]
		return s
	}
	byUser := func(r *http.Request) string { return r.Header.Get("Authorization") }
	require.Empty(t, isolation(t, limited(address, 50, func(*notes) {})))
	require.Empty(t, isolation(t, limited(byUser, 50, func(*notes) {})))
	leaks := isolation(t, limited(byUser, 50, func(s *notes) { s.find = anybody }))
	require.Equal(t, dataRead, leaks[0].Attack)
	blocked := isolation(t, limited(byUser, 0, func(*notes) {}))
	require.True(t, slices.ContainsFunc(blocked, func(f gatetest.Finding) bool {
		return f.Attack == "limit before isolation"
	}), "%v", blocked)
}

// TestNumbersAndOwnIDs: short ids of digits, made by the server, other ones on each.
func TestNumbersAndOwnIDs(t *testing.T) {
	t.Parallel()
	suite := func(sound bool) gatetest.Suite {
		return gatetest.Suite{
			New: func(testing.TB, io.Writer) http.Handler { return newOrders(sound) },
			Tenants: func(_ testing.TB, server http.Handler) []gatetest.Tenant {
				var all []gatetest.Tenant
				for _, name := range []string{acme, globex} {
					r := httptest.NewRequest(http.MethodPost, "/orders", nil)
					r.Header.Set("Authorization", "Bearer "+name)
					w := httptest.NewRecorder()
					server.ServeHTTP(w, r)
					all = append(all, gatetest.Tenant{
						Name: name, Users: []gatetest.SignIn{bearer(name)},
						IDs: map[string][]string{"order": {strings.TrimSpace(w.Body.String())}},
					})
				}
				return all
			},
			Served: []string{"POST /lookup"},
			Routes: []gatetest.Route{{Pattern: "POST /lookup", Body: `{"order":{order}}`}},
		}
	}
	require.Empty(t, isolation(t, suite(true)))
	found := isolation(t, suite(false))
	require.NotEmpty(t, found)
	require.Equal(t, toldApart, found[0].Attack)
	require.Contains(t, found[0].Got, "body {order}, plain: 200, not 404")
}
