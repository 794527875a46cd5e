package server_test

import (
	"bufio"
	"context"
	"database/sql"
	stdjson "encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCardNumbersAreNeverStored(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	body := view(`"el":""`, `"el":"card 5425 2334 3010 9903"`, `"meta":{}`,
		`"meta":{"note":"4263982640269299","deep":[{"n":4263982640269299}]}`)
	require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", body, "Origin", originA).Status)
	require.Equal(t, 1, r.stored("events"))
	for _, file := range []string{"sallyport.db", "sallyport.db-wal"} {
		data, err := os.ReadFile(filepath.Join(r.DB, file))
		require.NoError(t, err)
		require.NotContains(t, string(data), "4263982640269299")
		require.NotContains(t, string(data), "5425 2334 3010 9903")
	}
}

// One international number in ten passes the checksum of cards, and some begin
// like one. They are what the product is about.
func TestPhoneNumbersAreKept(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	for digit := range 10 {
		phone := fmt.Sprintf("+491761234567%d", digit)
		label := view(`"el":""`, `"el":"tel:`+phone+`"`, `"meta":{}`, `"meta":{"intent_target":"`+phone+`"}`)
		require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", label, "Origin", originA).Status)
		body := strings.Replace(call(fmt.Sprintf("33a11c86-2371-4af7-8580-e3f78f56d6a%d", digit)), "+905551112233", phone, 1)
		headers := sign(siteA, secretA, body, time.Now())
		require.Equal(t, 202, r.do(http.MethodPost, "/api/call-event/v2", body, headers...).Status)
	}
	require.Equal(t, 10, r.stored("calls"))
	for table, column := range map[string]string{"calls": "phone", "events": "label || meta"} {
		for _, row := range r.list(t.Context(), "SELECT "+column+" FROM "+table) {
			require.NotContains(t, row, "card")
			require.Contains(t, row, "+491761234567")
		}
	}
}

// TestCapturedTrafficOfTheRealTracker replays what the tracker really sent.
func TestCapturedTrafficOfTheRealTracker(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	file, err := os.Open("../event/testdata/captured.jsonl")
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	lines := bufio.NewScanner(file)
	replayed := 0
	for lines.Scan() {
		var line struct {
			Method, Path, Body string
			Headers            map[string]string
		}
		require.NoError(t, stdjson.Unmarshal(lines.Bytes(), &line))
		headers := []string{}
		for name, value := range line.Headers {
			if !strings.HasPrefix(name, "X-Ops-") {
				headers = append(headers, name, value)
			}
		}
		want := 202
		switch {
		case line.Method == http.MethodOptions:
			want = 204
		case strings.HasPrefix(line.Path, "/api/call-event"):
			headers = append(headers, sign(siteA, secretA, line.Body, time.Now())...)
		}
		got := r.do(line.Method, line.Path, line.Body, headers...)
		require.Equal(t, want, got.Status, "%s %s: %s", line.Method, line.Path, got.Body)
		require.Equal(t, originA, got.Header.Get("Access-Control-Allow-Origin"))
		replayed++
	}
	require.NoError(t, lines.Err())
	require.Equal(t, 7, replayed)

	// One view, one call (sent twice), and two ends of the session: when the tel:
	// link left the page, and later (sent twice).
	require.Equal(t, 4, r.stored("events"))
	require.Equal(t, 1, r.stored("calls"))
	require.Equal(t, []string{
		"conversion phone_call tel:+905551112233 1795299383698-mgp8-tel-4qqxoi",
		"interaction view  ", "system session_end page_unload ", "system session_end page_unload ",
	}, r.list(t.Context(), `SELECT category || ' ' || action || ' ' || label || ' ' || stamp FROM events ORDER BY 1`))
	require.Equal(t, []string{siteA + " +905551112233 phone intent"},
		r.list(t.Context(), `SELECT site_id || ' ' || phone || ' ' || action || ' ' || status FROM calls`))
}

func (r *rig) list(ctx context.Context, query string) (rows []string) {
	r.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(r.DB, "sallyport.db"))
	require.NoError(r.t, err)
	defer func() { require.NoError(r.t, db.Close()) }()
	result, err := db.QueryContext(ctx, query)
	require.NoError(r.t, err)
	defer func() { require.NoError(r.t, result.Close()) }()
	for result.Next() {
		var row string
		require.NoError(r.t, result.Scan(&row))
		rows = append(rows, row)
	}
	require.NoError(r.t, result.Err())
	return rows
}
