package server_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/audit/watch"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
)

// tower is what GET /watchtower/alerts answers.
type tower struct {
	Alerts []watch.Alert `json:"alerts"`
	Beat   time.Time     `json:"beat"`
}

func (r *rig) alerts(cookie, site string) (got tower) {
	r.t.Helper()
	a := r.do(http.MethodGet, "/watchtower/alerts?site_id="+site, "", "Cookie", cookie,
		"X-Forwarded-For", "192.0.2.1")
	require.Equal(r.t, 200, a.Status, a.Body)
	require.NoError(r.t, json.Unmarshal([]byte(a.Body), &got))
	return got
}

// 30 accounts, tried once by an address each: the guard sees nothing, the watchtower
// pages within seconds, and what was typed is nowhere.
func TestWatchtowerSeesSpraying(t *testing.T) {
	t.Parallel()
	r := behindProxy(t, func(s *settings.Settings) { s.Sites = s.Sites[:1] })
	for i := range 30 {
		r.signInFrom(fmt.Sprintf("198.51.100.%d", i), fmt.Sprintf("typed-%d", i), "Winter2026!")
	}
	first := r.signInFrom("192.0.2.1", "admin", adminPassword).cookie(t)
	got := r.do(http.MethodPost, "/auth/totp", `{"code":"`+now(t)+`"}`, "Cookie", first,
		"X-Forwarded-For", "192.0.2.1")
	require.Equal(t, 200, got.Status, got.Body)
	admin := got.cookie(t)
	var found tower
	require.Eventually(t, func() bool {
		found = r.alerts(admin, siteA)
		return len(found.Alerts) > 0
	}, 20*time.Second, 200*time.Millisecond)
	alert := found.Alerts[0]
	require.Equal(t, "password-spraying", alert.Rule)
	require.Equal(t, watch.Page, alert.Tier)
	require.WithinDuration(t, time.Now(), found.Beat, 10*time.Second)
	require.NotContains(t, r.Logs.String(), "typed-")
	require.Contains(t, r.Logs.String(), "password-spraying")

	decide := func(body string) answer {
		return r.do(http.MethodPost, "/watchtower/alerts?site_id="+siteA, body, "Cookie", admin,
			"Content-Type", "application/json", "X-Forwarded-For", "192.0.2.1")
	}
	id := `{"alert":"` + alert.ID + `","action":`
	require.Equal(t, 422, decide(id+`"acknowledge"}`).Status, "a reason is required")
	require.Equal(t, 422, decide(id+`"silence","reason":"x"}`).Status, "and an end")
	require.Equal(t, 200, decide(id+`"silence","reason":"a drill of ours","hours":2}`).Status)
	record := r.list(t.Context(), `SELECT CAST(entry AS TEXT) FROM audit_log
		WHERE CAST(entry AS TEXT) LIKE '%watch.silence%'`)
	require.Len(t, record, 1)
	require.Contains(t, record[0], "a drill of ours")
	require.Equal(t, watch.Silence, r.alerts(admin, siteA).Alerts[0].Decisions[0].Action)
}

// Alerts of everything name addresses that may be another site's visitors.
func TestSitesDoNotSeeOneAnothersAlerts(t *testing.T) {
	t.Parallel()
	r := behindProxy(t, nil)
	for i := range 30 {
		r.signInFrom(fmt.Sprintf("198.51.100.%d", i), fmt.Sprintf("typed-%d", i), "Winter2026!")
	}
	require.Eventually(t, func() bool {
		return contains(r.Logs.String(), "password-spraying")
	}, 20*time.Second, 100*time.Millisecond)
	first := r.signInFrom("192.0.2.1", "admin", adminPassword).cookie(t)
	got := r.do(http.MethodPost, "/auth/totp", `{"code":"`+now(t)+`"}`, "Cookie", first,
		"X-Forwarded-For", "192.0.2.1")
	require.Equal(t, 200, got.Status, got.Body)
	require.Empty(t, r.alerts(got.cookie(t), siteA).Alerts)
	breach := r.do(http.MethodPost, "/watchtower/alerts?site_id="+siteA,
		`{"alert":"x","action":"breach","reason":"y"}`, "Cookie", got.cookie(t),
		"Content-Type", "application/json", "X-Forwarded-For", "192.0.2.1")
	require.Equal(t, 404, breach.Status)
}

// Every metric that the dashboard and the rules name is there: promtool accepts a
// misspelt one.
func TestDashboardAndRulesNameRealMetrics(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	r.do(http.MethodGet, "/api/sync", "") // so that there is a decision
	metrics := r.do(http.MethodGet, "/metrics", "").Body
	const folder = "../deploy/prometheus"
	for _, name := range []string{"alerts.yml", "dashboard.json"} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		require.NoError(t, err)
		used := regexp.MustCompile(`sallyport_[a-z_]+`).FindAllString(string(text), -1)
		require.NotEmpty(t, used)
		for _, metric := range used {
			require.Contains(t, metrics, "\n# TYPE "+metric+" ", "%s names it", name)
		}
	}
	if _, err := exec.LookPath("promtool"); err != nil {
		return // the rules' own tests run wherever Prometheus is installed
	}
	cmd := exec.CommandContext(t.Context(), "promtool", "test", "rules", "alerts_test.yml")
	cmd.Dir = folder
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}
