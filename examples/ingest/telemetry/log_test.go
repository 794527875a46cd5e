package telemetry_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/telemetry"
)

// canaries must not reach a log or a report.
var canaries = []string{
	"ada.lovelace@example.com", "5425233430109903", "7f9c2ba4e88f827d616045507605853e",
}

func TestErrorsReachSentryScrubbed(t *testing.T) {
	t.Parallel()
	var envelopes lockedBuffer
	endpoint := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(&envelopes, r.Body)
	}))
	t.Cleanup(endpoint.Close)
	var lines lockedBuffer
	log, closeLog, err := telemetry.NewLogger(&lines, strings.Replace(endpoint.URL, "http://", "http://public@", 1)+"/1")
	require.NoError(t, err)

	log.Info("a quiet line of "+canaries[0], "card", canaries[1])
	log.With("user", canaries[0]).Error("store failed for "+canaries[0],
		"error", errors.New("card "+canaries[1]), "authorization", "Bearer "+canaries[2])
	closeLog()

	require.Contains(t, envelopes.String(), "store failed for [email]")
	require.NotContains(t, envelopes.String(), "a quiet line")
	require.Contains(t, lines.String(), "a quiet line of [email]")
	for _, canary := range canaries {
		require.NotContains(t, envelopes.String(), canary)
		require.NotContains(t, lines.String(), canary)
	}
}

func TestSentryDSNIsNeverQuoted(t *testing.T) {
	t.Parallel()
	_, _, err := telemetry.NewLogger(io.Discard, "http://s3cr3tkey@/no-project")
	require.ErrorContains(t, err, "SENTRY_DSN")
	require.NotContains(t, err.Error(), "s3cr3tkey")
}

// lockedBuffer collects log lines.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
