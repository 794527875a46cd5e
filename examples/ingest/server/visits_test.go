package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/servicetest"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/store"
)

const (
	visitorA = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
	visitorB = "9b2d3c1a-0f5e-4d7b-8c6a-112233445566"
)

// of is an event of a visitor at site A.
func of(visitor, action string) string {
	return `{"s":"` + siteA + `","u":"https://shop.example/` + action + `","sid":"` + visitor +
		`","ec":"interaction","ea":"` + action + `","consent_scopes":["analytics"]}`
}

// requireVisit finds a visit in the list, and its events behind it.
func (r *rig) requireVisit(cookie, visit, visitor string, events int) {
	r.t.Helper()
	get := func(path string, into any) int {
		got := retried(r.t, func() answer { return r.do(http.MethodGet, path, "", "Cookie", cookie) })
		require.NoError(r.t, json.Unmarshal([]byte(got.Body), into), got.Body)
		return got.Status
	}
	const list = "/api/sites/" + siteA + "/visits"
	var page struct {
		Visits []store.VisitRow
		Next   string
		Code   string
	}
	require.Equal(r.t, 200, get(list, &page))
	require.Len(r.t, page.Visits, 2)
	require.Empty(r.t, page.Next)
	i := slices.IndexFunc(page.Visits, func(v store.VisitRow) bool { return v.ID == visit })
	require.GreaterOrEqual(r.t, i, 0)
	found := page.Visits[i]
	require.Equal(r.t, visitor, strings.ToLower(found.Session))
	require.EqualValues(r.t, events, found.Events)
	require.False(r.t, found.LastAt.Before(found.FirstAt))
	var behind struct{ Events []store.EventRow }
	require.Equal(r.t, 200, get(list+"/"+visit, &behind))
	require.Len(r.t, behind.Events, events)

	require.Equal(r.t, 200, get(list+"?after=1."+visit, &page))
	require.Empty(r.t, page.Visits)
	for _, wrong := range []string{"x", ".", "1", "-1.x", "1.", "99999999999999999999.x"} {
		require.Equal(r.t, 400, get(list+"?after="+wrong, &page), wrong)
		require.Equal(r.t, "page_unknown", page.Code)
	}
}

// The list is read page by page.
func TestVisitsArePaged(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	var batch []event.Received
	for i := range 250 {
		e := event.Received{ID: fmt.Sprint("e", i), Site: siteA, At: time.UnixMilli(int64(1000 + i/9)), Event: &event.Event{
			Site: siteA, Session: visitorA, URL: "https://shop.example/", Category: "system", Action: fmt.Sprint("a", i),
		}}
		e.Visit = fmt.Sprintf("visit-%03d", i)
		batch = append(batch, e)
	}
	_, err := r.srv.Store().Store(t.Context(), batch)
	require.NoError(t, err)
	cookie, after, sizes, seen := r.login("admin", true), "", []int{}, map[string]bool{}
	for {
		var page struct {
			Visits []store.VisitRow
			Next   string
		}
		got := r.do(http.MethodGet, "/api/sites/"+siteA+"/visits"+after, "", "Cookie", cookie)
		require.NoError(t, json.Unmarshal([]byte(got.Body), &page), got.Body)
		sizes = append(sizes, len(page.Visits))
		for _, v := range page.Visits {
			seen[v.ID] = true
		}
		if page.Next == "" {
			break
		}
		after = "?after=" + page.Next
	}
	require.Equal(t, []int{100, 100, 50}, sizes)
	require.Len(t, seen, 250)
	require.Equal(t, 404, r.do(http.MethodGet, "/api/sites/"+siteA+"/visits/visit-250", "", "Cookie", cookie).Status)
	other := r.login("other", true)
	for _, path := range []string{"", "/visit-001"} {
		require.Equal(t, 404, r.do(http.MethodGet, "/api/sites/"+siteA+"/visits"+path, "", "Cookie", other).Status)
	}
	require.Equal(t, 404, r.do(http.MethodGet, "/api/sites/"+siteB+"/visits/visit-001", "", "Cookie", other).Status)
}

// Events of one visitor are one visit in the admin's list, at every instance; a visit
// signs nobody in.
func TestEventsAreStitchedIntoVisits(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{
		"memory": "", "redis": "redis://" + servicetest.StartRedis(t).Addr,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := configured(t)
			s.RedisURL = url
			s.FailMode = settings.FailOpen
			r := run(t, s)
			send := func(body string) {
				got := retried(t, func() answer { return r.do(http.MethodPost, "/api/sync", body, "Origin", originA) })
				require.Equal(t, 202, got.Status, got.Body)
			}
			send(of(visitorA, "view"))
			send(`{"events":[` + of(visitorA, "scroll") + "," + of(visitorB, "view") + "," + of("", "view") + `]}`)
			send(of(strings.ToUpper(visitorA), "click"))
			require.Equal(t, 5, r.stored("events"))

			cookie := r.login("admin", true)
			got := retried(t, func() answer {
				return r.do(http.MethodGet, "/api/sites/"+siteA+"/events", "", "Cookie", cookie)
			})
			require.Equal(t, 200, got.Status, got.Body)
			var list struct {
				Events []struct {
					Visitor string `json:"session_id"`
					Visit   string `json:"visit_id"`
				}
			}
			require.NoError(t, json.Unmarshal([]byte(got.Body), &list))
			require.Len(t, list.Events, 5)
			visits := map[string]map[string]int{}
			for _, e := range list.Events {
				visitor := strings.ToLower(e.Visitor)
				if visits[visitor] == nil {
					visits[visitor] = map[string]int{}
				}
				visits[visitor][e.Visit]++
			}
			require.Equal(t, map[string]int{"": 1}, visits[""], "nobody known has no visit")
			require.Len(t, visits[visitorA], 1)
			require.Len(t, visits[visitorB], 1)
			for visit, n := range visits[visitorA] {
				require.Equal(t, 3, n)
				require.Len(t, visit, 26)
				require.NotContains(t, visits[visitorB], visit)
				// Neither the visit nor the visitor's id is a session.
				for _, value := range []string{visit, visitorA} {
					got := r.do(http.MethodGet, "/auth/sessions", "", "Cookie", "__Host-Http-session="+value)
					require.Equal(t, 401, got.Status)
				}
				r.requireVisit(cookie, visit, visitorA, 3)
			}
		})
	}
}
