package server_test

import (
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/qstash"
)

// settled waits until the queue is empty.
func (r *rig) settled() *sql.DB {
	r.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(r.DB, "sallyport.db"))
	require.NoError(r.t, err)
	r.t.Cleanup(func() { require.NoError(r.t, db.Close()) })
	require.Eventually(r.t, func() bool {
		var waiting int
		err := db.QueryRowContext(r.t.Context(), `SELECT count(*) FROM queue`).Scan(&waiting)
		return err == nil && waiting == 0
	}, time.Minute, 10*time.Millisecond, "the queue does not drain")
	return db
}

// stored counts rows once the queue is empty.
func (r *rig) stored(table string) int {
	r.t.Helper()
	db := r.settled()
	var n int
	// #nosec G202 -- the table is a constant of the test
	require.NoError(r.t, db.QueryRowContext(r.t.Context(), `SELECT count(*) FROM `+table).Scan(&n))
	return n
}

func TestSyncAnswersByTheContract(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	batch := func(n int) string {
		return `{"events":[` + strings.Repeat(view()+",", n-1) + view() + `]}`
	}
	for name, row := range map[string]struct {
		body    string
		headers []string
		status  int
		code    string
	}{
		"one event":              {view(), []string{"Origin", originA}, 202, ""},
		"no Origin":              {view(), nil, 202, ""},
		"no Origin, same-origin": {view(), []string{"Sec-Fetch-Site", "same-origin"}, 202, ""},
		"no Origin, none":        {view(), []string{"Sec-Fetch-Site", "none"}, 202, ""},
		"no Origin, cross-site":  {view(), []string{"Sec-Fetch-Site", "cross-site"}, 403, "cross_site"},
		"no Origin, same-site":   {view(), []string{"Sec-Fetch-Site", "same-site"}, 403, "cross_site"},
		"unlisted origin":        {view(), []string{"Origin", "https://evil.example"}, 403, "origin_not_listed"},
		"null origin":            {view(), []string{"Origin", "null"}, 403, "origin_null"},
		"two origins":            {view(), []string{"Origin", originA, "Origin", originA}, 403, "origin_repeated"},
		"another site's origin":  {view(), []string{"Origin", originB}, 403, "origin_not_listed"},
		"100 events":             {batch(100), []string{"Origin", originA}, 202, ""},
		"101 events":             {batch(101), []string{"Origin", originA}, 429, "batch_too_many_events"},
		"not JSON":               {"x", []string{"Origin", originA}, 400, "invalid_json"},
		"wrong shape":            {`{"s":1}`, []string{"Origin", originA}, 422, "wrong_shape"},
		"unknown site":           {view(siteA, strings.Repeat("9", 32)), []string{"Origin", originA}, 400, "site_not_found"},
		"mixed sites":            {`{"events":[` + view() + "," + view(siteA, siteB) + `]}`, []string{"Origin", originA}, 400, "batch_mixed_sites"},
		"257 KiB":                {view(`"el":""`, `"el":"`+strings.Repeat("x", 257<<10)+`"`), []string{"Origin", originA}, 413, "body_too_large"},
		"without consent":        {view("analytics", "marketing"), []string{"Origin", originA}, 204, ""},
		"markup in every field":  {view("view", "<script>alert(1)</script>"), []string{"Origin", originA}, 202, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := r.do(http.MethodPost, "/api/sync?_ts=1", row.body, row.headers...)
			require.Equal(t, row.status, got.Status, got.Body)
			require.Equal(t, row.code, got.Code())
			require.Contains(t, got.Header.Get("Vary"), "Origin")
			if row.status == 202 {
				require.Regexp(t, `"ingest_id":"[A-Z0-9]{26}"`, got.Body)
				require.Contains(t, got.Body, `"ok":true`)
				require.Contains(t, got.Body, `"status":"queued"`)
			}
			if row.status == 204 {
				require.Equal(t, "analytics", got.Header.Get("X-Opsmantik-Consent-Missing"))
			}
		})
	}
}

func TestReportOnlyRefusesNoOrigin(t *testing.T) {
	t.Parallel()
	s := configured(t)
	s.CORSReportOnly = true
	r := run(t, s)
	for _, origin := range []string{"https://evil.example", "null", originB} {
		require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", view(), "Origin", origin).Status, origin)
	}
	metrics := r.do(http.MethodGet, "/metrics", "").Body
	for _, line := range []string{
		`{code="origin_not_listed",gate="cors",outcome="refused",policy=""} 1`,
		`{code="origin_null",gate="cors",outcome="refused",policy=""} 1`,
		`{code="tenant_origin_not_listed",gate="cors",outcome="refused",policy=""} 3`,
	} {
		require.Contains(t, metrics, line)
	}
}

func TestConsentIsAskedPerEvent(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	body := `{"batch":[` + view() + "," + view("analytics", "marketing", "view", "scroll") + `]}`
	got := r.do(http.MethodPost, "/api/sync", body, "Origin", originA)
	require.Equal(t, 202, got.Status)
	require.Contains(t, got.Body, `"count":1`)
	require.Equal(t, 1, r.stored("events"))
}

func TestRefusedEventsLeaveNoTrace(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	for _, headers := range [][]string{
		{"Origin", "https://evil.example"}, {"Origin", originB}, {"Sec-Fetch-Site", "cross-site"},
	} {
		require.Equal(t, 403, r.do(http.MethodPost, "/api/sync", view(), headers...).Status)
	}
	require.Equal(t, 204, r.do(http.MethodPost, "/api/sync", view("analytics", "x"), "Origin", originA).Status)
	require.Equal(t, 401, r.do(http.MethodPost, "/api/call-event/v2", call("33a11c86-2371-4af7-8580-e3f78f56d6a2")).Status)
	require.Zero(t, r.stored("events"))
	require.Zero(t, r.stored("calls"))
}

func TestCallEventAnswersByTheContract(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	const id = "33a11c86-2371-4af7-8580-e3f78f56d6a2"
	now := time.Now()
	signed := func(body string, at time.Time) []string { return sign(siteA, secretA, body, at) }
	with := func(headers []string, more ...string) []string { return append(headers, more...) }
	unknown := strings.Replace(call(id), `"action"`, `"extra":1,"action"`, 1)
	consent := strings.Replace(call(id), `"action"`, `"consent_scopes":[],"action"`, 1)
	other := strings.Replace(call(id), siteA, siteB, 1)
	large := strings.Replace(call(id), "phone\"", strings.Repeat("x", 64<<10)+"\"", 1)
	for name, row := range map[string]struct {
		body    string
		headers []string
		status  int
		code    string
	}{
		"valid":                 {call(id), signed(call(id), now), 202, ""},
		"the next secret":       {call("1" + id[1:]), sign(siteA, "n3xt-s3cr3t-n3xt-s3cr3t", call("1"+id[1:]), now), 202, ""},
		"upper-case signature":  {call("2" + id[1:]), upper(signed(call("2"+id[1:]), now)), 202, ""},
		"290 s old":             {call("4" + id[1:]), signed(call("4"+id[1:]), now.Add(-290*time.Second)), 202, ""},
		"unsigned":              {call(id), nil, 401, "SIGNATURE_REQUIRED"},
		"no timestamp":          {call(id), append(signed(call(id), now)[:2], signed(call(id), now)[4:]...), 401, "SIGNATURE_REQUIRED"},
		"short signature":       {call(id), []string{"X-Ops-Site-Id", siteA, "X-Ops-Ts", "1795299383", "X-Ops-Signature", "ab"}, 401, "SIGNATURE_REQUIRED"},
		"two signatures":        {call(id), with(signed(call(id), now), signed(call(id), now)[4:]...), 401, "SIGNATURE_REQUIRED"},
		"310 s old":             {call(id), signed(call(id), now.Add(-310*time.Second)), 401, "SIGNATURE_TIMESTAMP_INVALID"},
		"70 s ahead":            {call(id), signed(call(id), now.Add(70*time.Second)), 401, "SIGNATURE_TIMESTAMP_INVALID"},
		"another site's secret": {call(id), sign(siteA, secretB, call(id), now), 401, "SIGNATURE_INVALID"},
		"unknown site":          {call(id), sign(strings.Repeat("9", 32), secretA, call(id), now), 401, "SIGNATURE_INVALID"},
		"altered body":          {call(id) + " ", signed(call(id), now), 401, "SIGNATURE_INVALID"},
		"unknown member":        {unknown, signed(unknown, now), 422, "wrong_shape"},
		"consent in the body":   {consent, signed(consent, now), 422, "wrong_shape"},
		"another site's body":   {other, signed(other, now), 422, "site_mismatch"},
		"65 KiB":                {large, signed(large, now), 413, "body_too_large"},
		"unlisted origin":       {call(id), with(signed(call(id), now), "Origin", "https://evil.example"), 403, "origin_not_listed"},
		"another site's origin": {call("5" + id[1:]), with(signed(call("5"+id[1:]), now), "Origin", originB), 403, "origin_not_listed"},
	} {
		t.Run(name, func(t *testing.T) { // not parallel: the signatures grow old
			got := r.do(http.MethodPost, "/api/call-event/v2", row.body, row.headers...)
			require.Equal(t, row.status, got.Status, got.Body)
			require.Equal(t, row.code, got.Code())
			require.NotContains(t, got.Body, secretA)
		})
	}
}

func upper(headers []string) []string {
	headers[5] = strings.ToUpper(headers[5])
	return headers
}

func TestCallEventReplayIsANoop(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	body := call("33a11c86-2371-4af7-8580-e3f78f56d6a2")
	headers := sign(siteA, secretA, body, time.Now())
	require.Equal(t, 202, r.do(http.MethodPost, "/api/call-event/v2", body, headers...).Status)
	for range 3 {
		got := r.do(http.MethodPost, "/api/call-event/v2", body, headers...)
		require.Equal(t, 200, got.Status)
		require.JSONEq(t, `{"status":"noop"}`, got.Body)
	}
	// The site id is not signed: another spelling is the same message.
	for _, spelling := range []string{strings.ToUpper(siteA), "01234567-89ab-cdef-0123-456789abcdef"} {
		respelled := append([]string{"X-Ops-Site-Id", spelling}, headers[2:]...)
		require.Equal(t, 200, r.do(http.MethodPost, "/api/call-event/v2", body, respelled...).Status, spelling)
	}
	// Signed again, the same event is a new request and still one call.
	again := sign(siteA, secretA, body, time.Now().Add(-2*time.Second))
	require.Equal(t, 202, r.do(http.MethodPost, "/api/call-event/v2", body, again...).Status)
	require.Equal(t, 1, r.stored("calls"))
}

func TestRefusedCallEventMayBeSentAgain(t *testing.T) {
	t.Parallel()
	s := configured(t)
	s.Sites[0].RatePerMinute = 1
	r := run(t, s)
	send := func(id string) answer {
		body := call(id)
		return r.do(http.MethodPost, "/api/call-event/v2", body, sign(siteA, secretA, body, time.Unix(time.Now().Unix(), 0))...)
	}
	require.Equal(t, 202, send("33a11c86-2371-4af7-8580-e3f78f56d6a2").Status)
	for range 2 {
		// Not a noop: the first answer was a refusal, so nothing was stored.
		got := send("44a11c86-2371-4af7-8580-e3f78f56d6a2")
		require.Equal(t, 429, got.Status)
		require.Equal(t, "1", got.Header.Get("X-Opsmantik-Ratelimit"))
		require.NotEmpty(t, got.Header.Get("Retry-After"))
	}
}

func TestSyncIsLimitedPerAddressAndSite(t *testing.T) {
	t.Parallel()
	s := configured(t)
	s.RatePerMinute = 3
	r := run(t, s)
	for range 3 {
		require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", view(), "Origin", originA).Status)
	}
	got := r.do(http.MethodPost, "/api/sync", view(), "Origin", originA)
	require.Equal(t, 429, got.Status)
	require.Equal(t, "1", got.Header.Get("X-Opsmantik-Ratelimit"))
	require.NotEmpty(t, got.Header.Get("Retry-After"))
	require.Equal(t, originA, got.Header.Get("Access-Control-Allow-Origin"), "the page has to see why")
	require.Contains(t, got.Header.Get("Access-Control-Expose-Headers"), "X-Opsmantik-Ratelimit")

	require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", view(siteA, siteB), "Origin", originB).Status,
		"another site has its own budget")
	require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", view(),
		"X-Ops-Proxy", "1", "X-Ops-Proxy-Host", "localhost:9102").Status, "so has the site's own proxy")
	require.Equal(t, 429, r.do(http.MethodPost, "/api/sync", view(),
		"X-Ops-Proxy", "1", "X-Ops-Proxy-Host", "evil.example").Status, "a made-up proxy has none")
}

func TestSpoofedForwardingHeadersGainNothing(t *testing.T) {
	t.Parallel()
	s := configured(t)
	s.RatePerMinute = 1
	r := run(t, s)
	require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", view(), "Origin", originA).Status)
	for _, header := range []string{"X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP"} {
		got := r.do(http.MethodPost, "/api/sync", view(), "Origin", originA, header, "198.51.100.7")
		require.Equal(t, 429, got.Status, header)
	}
}

// A client that does not wait has still sent its events.
func TestEventsOfAClientThatHangsUpAreKept(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	for i := range 20 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(r.URL, "http://"))
		require.NoError(t, err)
		body := view(`"el":""`, fmt.Sprintf(`"el":"%d"`, i))
		_, err = fmt.Fprintf(conn, "POST /api/sync HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	}
	require.Eventually(t, func() bool {
		return len(r.list(t.Context(), `SELECT label FROM events`)) == 20
	}, time.Minute, 10*time.Millisecond)
	require.NotContains(t, r.Logs.String(), `"level":"ERROR"`)
}

// A value that this server accepts, and a reader of whole batches would not.
func TestNestingCannotStallThePipeline(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	bomb := view(`"meta":{}`, `"meta":{"a":`+strings.Repeat("[", 9000)+strings.Repeat("]", 9000)+`}`)
	require.Equal(t, 422, r.do(http.MethodPost, "/api/sync", bomb, "Origin", originA).Status)
	require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", view(), "Origin", originA).Status)
	require.Equal(t, 1, r.stored("events"))
}

func TestWorkerAcceptsOnlyOurSignature(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	body := `{"events":[]}`
	post := func(token string) answer {
		if token == "" {
			return r.do(http.MethodPost, "/api/sync/worker", body)
		}
		return r.do(http.MethodPost, "/api/sync/worker", body, qstash.Header, token)
	}
	token := func(url, key string) string {
		secret, err := hmacsig.NewSecret(hmacsig.SecretConfig{Value: key, AllowShort: true})
		require.NoError(t, err)
		signer, err := qstash.NewSigner(qstash.SignerConfig{URL: url, Secret: secret})
		require.NoError(t, err)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL, strings.NewReader(body))
		require.NoError(t, err)
		require.NoError(t, signer.Sign(req))
		return req.Header.Get(qstash.Header)
	}
	got := post("")
	require.Equal(t, 403, got.Status)
	require.Equal(t, "QSTASH_SIGNATURE_MISSING", got.Code())
	for name, forged := range map[string]string{
		"not a token":      "x",
		"another key":      token(r.URL+"/api/sync/worker", "sig_another_key_of_32_bytes_0123"),
		"another audience": token("https://other.example/api/sync/worker", signingKey),
	} {
		got := post(forged)
		require.Equal(t, 403, got.Status, name)
		require.Equal(t, "QSTASH_SIGNATURE_INVALID", got.Code(), name)
	}
	genuine := token(r.URL+"/api/sync/worker", signingKey)
	require.Equal(t, 200, post(genuine).Status)
	require.Contains(t, post(genuine).Body, "noop", "a replayed delivery is done already")
}
