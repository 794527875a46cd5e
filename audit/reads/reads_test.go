package reads_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/reads"
)

func describe(r *http.Request) (audit.Record, bool) {
	return audit.Record{
		Actor: audit.Ref{Kind: "user", ID: "u_81"}, Action: "calls.read", Tenant: "s1",
		Target: audit.Ref{Kind: "site", ID: "s1"},
	}, r.URL.Path == "/calls"
}

func call(g *reads.Gate, path string) (*httptest.ResponseRecorder, bool) {
	ran := false
	rec := httptest.NewRecorder()
	g.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { ran = true })).
		ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	return rec, ran
}

func TestConfidentialReadsAreRecordedFirst(t *testing.T) {
	t.Parallel()
	log, err := audit.New(audit.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	var events []sallyport.Event
	gate, err := reads.New(reads.Config{
		Store: log, Describe: describe,
		OnEvent: func(_ context.Context, e sallyport.Event) { events = append(events, e) },
	})
	require.NoError(t, err)
	_, ran := call(gate, "/calls")
	require.True(t, ran)
	_, ran = call(gate, "/health")
	require.True(t, ran)
	n := 0
	for entry, err := range log.Entries(t.Context(), 0) {
		require.NoError(t, err)
		r, err := audit.Parse(entry)
		require.NoError(t, err)
		require.Equal(t, "calls.read", r.Action)
		require.Equal(t, audit.OutcomeSuccess, r.Outcome)
		require.WithinDuration(t, time.Now(), r.Time, time.Minute)
		n++
	}
	require.Equal(t, 1, n)

	require.NoError(t, log.Close())
	rec, ran := call(gate, "/calls")
	require.False(t, ran, "what cannot be recorded is not shown")
	require.Equal(t, http.StatusServiceUnavailable, rec.Code)
	require.Contains(t, rec.Body.String(), reads.CodeUnavailable)
	codes := []string{}
	for _, e := range events {
		codes = append(codes, e.Code)
		require.NotNil(t, e.Request)
	}
	require.Equal(t, []string{reads.CodeRecorded, reads.CodeUnrecorded, reads.CodeUnavailable}, codes)
	require.Equal(t, "u_81", events[0].Actor)
	require.IsType(t, audit.Receipt{}, events[0].Detail)
}

func TestNotConfigured(t *testing.T) {
	t.Parallel()
	for _, gate := range []*reads.Gate{nil, {}} {
		rec, ran := call(gate, "/calls")
		require.False(t, ran)
		require.Equal(t, http.StatusServiceUnavailable, rec.Code)
		require.Contains(t, rec.Body.String(), reads.CodeNotConfigured)
	}
	_, err := reads.New(reads.Config{Timeout: 1})
	for _, field := range []string{"Store", "Describe", "Timeout"} {
		require.ErrorContains(t, err, "audit: "+field)
	}
}

func TestOnReject(t *testing.T) {
	t.Parallel()
	gate, err := reads.New(reads.Config{
		Store: (*audit.Log)(nil), Describe: describe,
		OnReject: func(w http.ResponseWriter, _ *http.Request, r *sallyport.Refusal) {
			require.Equal(t, reads.CodeUnavailable, r.Code)
			w.WriteHeader(http.StatusTeapot)
		},
	})
	require.NoError(t, err)
	rec, ran := call(gate, "/calls")
	require.False(t, ran)
	require.Equal(t, http.StatusTeapot, rec.Code)
}
