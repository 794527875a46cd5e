package sallyport_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/stretchr/testify/require"
)

func TestRefusalWrite(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name    string
		refusal sallyport.Refusal
		header  http.Header
		body    string
	}{
		{
			"plain",
			sallyport.Refusal{Gate: "cors", Code: "origin_null", Status: 403, Title: "No", TypeBase: "t#"},
			http.Header{},
			`{"code":"origin_null","status":403,"title":"No","type":"t#origin_null"}`,
		},
		{
			"retry is rounded up",
			sallyport.Refusal{Code: "c", Status: 429, TypeBase: "t#", RetryAfter: time.Second + 1},
			http.Header{"Retry-After": {"2"}},
			`{"code":"c","status":429,"title":"","type":"t#c"}`,
		},
		{
			"no wait is no promise",
			sallyport.Refusal{Code: "c", Status: 429, TypeBase: "t#", RetryAfter: -time.Second},
			http.Header{},
			`{"code":"c","status":429,"title":"","type":"t#c"}`,
		},
		{
			"challenge and members",
			sallyport.Refusal{
				Code: "c", Status: 401, TypeBase: "t#", Challenge: `Bearer error="x"`,
				Members: map[string]any{"hint": 1, "status": 200, "code": "forged"},
			},
			http.Header{"Www-Authenticate": {`Bearer error="x"`}},
			`{"code":"c","hint":1,"status":401,"title":"","type":"t#c"}`,
		},
		{
			"default base",
			sallyport.Refusal{Code: "c", Status: 400},
			http.Header{},
			`{"code":"c","status":400,"title":"","type":"` +
				`https://github.com/opsmantik/sallyport/blob/main/docs/problems.md#c"}`,
		},
		{
			"the cause stays here",
			sallyport.Refusal{Code: "c", Status: 503, TypeBase: "t#", Err: io.ErrUnexpectedEOF, Detail: "d"},
			http.Header{},
			`{"code":"c","status":503,"title":"","type":"t#c"}`,
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			rec := httptest.NewRecorder()
			row.refusal.Write(rec)
			require.Equal(t, row.refusal.Status, rec.Code)
			require.JSONEq(t, row.body, rec.Body.String())
			header := rec.Header()
			require.Equal(t, "application/problem+json", header.Get("Content-Type"))
			require.Equal(t, "no-store", header.Get("Cache-Control"))
			require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
			for _, name := range []string{"Content-Type", "Cache-Control", "X-Content-Type-Options"} {
				header.Del(name)
			}
			require.Equal(t, row.header, header)
		})
	}
}

func TestRefusalIsAnError(t *testing.T) {
	t.Parallel()
	refused := &sallyport.Refusal{Gate: "sessions", Code: "session_ended", Err: io.EOF}
	err := errors.Join(refused)
	found, ok := errors.AsType[*sallyport.Refusal](err)
	require.True(t, ok)
	require.Same(t, refused, found)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, "sessions: session_ended: EOF", refused.Error())
	refused.Err = nil
	require.Equal(t, "sessions: session_ended", refused.Error())
}

func TestConfigErrorText(t *testing.T) {
	t.Parallel()
	e := &sallyport.ConfigError{
		Gate: "cors", Field: "Origins[1]", Value: "*.x", Code: sallyport.ConfigMalformed,
		Fix: "write it as https://*.x",
	}
	require.Equal(t, `cors: Origins[1]: "*.x": write it as https://*.x`, e.Error())
	e.Value = ""
	require.Equal(t, "cors: Origins[1]: write it as https://*.x", e.Error())
}

func TestPrincipalProved(t *testing.T) {
	t.Parallel()
	user := sallyport.Principal{Kind: sallyport.KindUser, ID: "u", Level: sallyport.AAL1}
	require.True(t, user.Proved())
	require.False(t, sallyport.Principal{}.Proved())
	for name, spoil := range map[string]func(*sallyport.Principal){
		"no kind":  func(p *sallyport.Principal) { p.Kind = "" },
		"no id":    func(p *sallyport.Principal) { p.ID = "" },
		"no level": func(p *sallyport.Principal) { p.Level = 0 },
	} {
		p := user
		spoil(&p)
		require.False(t, p.Proved(), name)
	}
}

func TestClasses(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name  string
		class sallyport.Class
		ok    bool
	}{
		{"public", sallyport.Public, true},
		{"internal", sallyport.Internal, true},
		{"confidential", sallyport.Confidential, true},
		{"restricted", sallyport.Restricted, true},
		{"unclassified", sallyport.Restricted, false},
		{"Public", sallyport.Restricted, false},
		{"", sallyport.Restricted, false},
	}
	for _, row := range rows {
		class, ok := sallyport.ParseClass(row.name)
		require.Equal(t, row.class, class, row.name)
		require.Equal(t, row.ok, ok, row.name)
		if ok {
			require.Equal(t, row.name, class.String())
		}
	}
	require.Equal(t, "unclassified", sallyport.Class(0).String())
	require.Equal(t, "unclassified", sallyport.Class(9).String())
}
