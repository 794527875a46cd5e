package problem_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/problem"
)

func decode(t *testing.T, body string) map[string]any {
	t.Helper()
	var got map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &got), body)
	return got
}

func TestWrite(t *testing.T) {
	t.Parallel()
	p := problem.New("", http.StatusForbidden, "origin_not_listed", "Origin not allowed",
		map[string]any{"retry": false})
	require.Equal(t, http.StatusForbidden, p.Status())

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Length", "99999")
		h.Set("Content-Encoding", "gzip")
		h.Set("ETag", `"stale"`)
		h.Set("Last-Modified", "Thu, 01 Jan 1970 00:00:00 GMT")
		h.Set("Content-Type", "text/html")
		h.Set("Cache-Control", "public")
		h.Set("Vary", "Origin")
		h.Set("Retry-After", "7")
		p.Write(w)
	}))
	defer server.Close()

	res, err := http.Get(server.URL)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)

	require.Equal(t, http.StatusForbidden, res.StatusCode)
	require.EqualValues(t, len(body), res.ContentLength)
	require.Equal(t, map[string]any{
		"type":   "https://github.com/opsmantik/sallyport/blob/main/docs/problems.md#origin_not_listed",
		"title":  "Origin not allowed",
		"status": float64(http.StatusForbidden),
		"code":   "origin_not_listed",
		"retry":  false,
	}, decode(t, string(body)))
	rows := []struct{ header, want string }{
		{"Content-Type", "application/problem+json"},
		{"Cache-Control", "no-store"},
		{"X-Content-Type-Options", "nosniff"},
		{"Content-Encoding", ""},
		{"Etag", ""},
		{"Last-Modified", ""},
		{"Vary", "Origin"},
		{"Retry-After", "7"},
	}
	for _, row := range rows {
		require.Equal(t, row.want, res.Header.Get(row.header), row.header)
	}
}

func TestMembersCannotReplaceTheStandardOnes(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	problem.New("", http.StatusTooManyRequests, "limited", "Slow down", map[string]any{
		"type": "x", "title": "x", "status": 200, "code": "x",
	}).Write(rec)
	got := decode(t, rec.Body.String())
	require.Equal(t, "limited", got["code"])
	require.Equal(t, "Slow down", got["title"])
	require.EqualValues(t, http.StatusTooManyRequests, got["status"])
	require.Contains(t, got["type"], "#limited")
}

func TestMemberThatJSONCannotHold(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	problem.New("", http.StatusForbidden, "refused", "Refused", map[string]any{"f": func() {}}).Write(rec)
	require.Equal(t, http.StatusForbidden, rec.Code)
	require.Equal(t, "refused", decode(t, rec.Body.String())["code"])
}

func TestMembersAreCopied(t *testing.T) {
	t.Parallel()
	members := map[string]any{"limit": 5}
	p := problem.New("", http.StatusForbidden, "refused", "Refused", members)
	members["limit"] = 6
	rec := httptest.NewRecorder()
	p.Write(rec)
	require.EqualValues(t, 5, decode(t, rec.Body.String())["limit"])
	require.Len(t, members, 1)
}

// TestHeaderValuesDoNotOverlap guards the shared backing array of Write.
func TestHeaderValuesDoNotOverlap(t *testing.T) {
	t.Parallel()
	p := problem.New("", http.StatusForbidden, "refused", "Refused", nil)
	rec := httptest.NewRecorder()
	p.Write(rec)
	rec.Header().Add("Content-Type", "text/evil")
	require.Equal(t, []string{"no-store"}, rec.Header().Values("Cache-Control"))
	require.Equal(t, []string{"nosniff"}, rec.Header().Values("X-Content-Type-Options"))

	again := httptest.NewRecorder()
	p.Write(again)
	require.Equal(t, []string{"application/problem+json"}, again.Header().Values("Content-Type"))
}
