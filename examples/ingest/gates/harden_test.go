package gates_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/gates"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/telemetry"
)

const canary = "ada.lovelace@example.com"

func TestPanicsAreAnsweredWithoutTheirCause(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	log, _, err := telemetry.NewLogger(&lines, "")
	require.NoError(t, err)
	h := gates.Harden(&settings.Settings{}, log, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic("broken for " + canary)
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, 500, w.Code)
	require.NotContains(t, w.Body.String(), "broken")
	require.Contains(t, lines.String(), "broken for [email]")
	require.NotContains(t, lines.String(), canary)
}
