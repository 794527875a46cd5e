package refusal_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/refusal"
	"github.com/stretchr/testify/require"
)

var kinds = []refusal.Kind{
	{Code: "closed", Status: 403, Title: "Closed"},
	{Code: "busy", Status: 503, Title: "Busy"},
}

func answer(
	t *refusal.Table, refused *sallyport.Refusal,
	onReject func(http.ResponseWriter, *http.Request, *sallyport.Refusal),
) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	t.Answer(rec, httptest.NewRequest(http.MethodGet, "/", nil), refused, onReject)
	return rec
}

func TestNew(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	table := refusal.NewTable("door", "b#", kinds...)
	require.Equal(t, &sallyport.Refusal{
		Gate: "door", Code: "busy", Status: 503, Title: "Busy", TypeBase: "b#", Err: cause,
	}, table.New("busy", cause))
	require.Equal(t, &sallyport.Refusal{
		Gate: "door", Code: "busy", Status: 503, Title: "Busy", Err: cause,
	}, kinds[1].Refusal("door", cause))
}

// TestOneAnswer: what was encoded in advance is what Write would send.
func TestOneAnswer(t *testing.T) {
	t.Parallel()
	table := refusal.NewTable("door", "b#", kinds...)
	for _, k := range kinds {
		refused := table.New(k.Code, nil)
		refused.RetryAfter = 5 * time.Second
		written := httptest.NewRecorder()
		refused.Write(written)
		got := answer(table, refused, nil)
		require.Equal(t, written.Body.String(), got.Body.String())
		require.Equal(t, written.Code, got.Code)
		require.Equal(t, written.Header(), got.Header())
		require.Equal(t, written.Body.String(), answer(nil, refused, nil).Body.String(), "zero gate")
	}
}

func TestMembersAreSent(t *testing.T) {
	t.Parallel()
	table := refusal.NewTable("door", "b#", kinds...)
	refused := table.New("busy", nil)
	refused.Members = map[string]any{"queue": 3}
	require.Contains(t, answer(table, refused, nil).Body.String(), `"queue":3`)
	refused = table.New("busy", nil)
	refused.Status = 500
	require.Equal(t, 500, answer(table, refused, nil).Code, "an own status is kept")
}

func TestOnRejectFindsTheHeaders(t *testing.T) {
	t.Parallel()
	table := refusal.NewTable("door", "", kinds...)
	refused := table.New("busy", nil)
	refused.RetryAfter, refused.Challenge = time.Second, "Bearer"
	rec := answer(table, refused, func(w http.ResponseWriter, _ *http.Request, r *sallyport.Refusal) {
		require.Same(t, refused, r)
		require.Equal(t, "1", w.Header().Get("Retry-After"))
		require.Equal(t, "Bearer", w.Header().Get("WWW-Authenticate"))
		w.WriteHeader(http.StatusTeapot)
	})
	require.Equal(t, http.StatusTeapot, rec.Code)
	require.Empty(t, rec.Body)
}

// TestSilentOnReject: net/http answers 200 for a handler that writes nothing.
func TestSilentOnReject(t *testing.T) {
	t.Parallel()
	table := refusal.NewTable("door", "", kinds...)
	rec := answer(table, table.New("closed", nil),
		func(http.ResponseWriter, *http.Request, *sallyport.Refusal) {})
	require.Equal(t, http.StatusForbidden, rec.Code)
	require.Contains(t, rec.Body.String(), `"closed"`)
}
