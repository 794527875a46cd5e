package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/servicetest"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
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
			}
		})
	}
}
