package loggers_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getsentry/sentry-go"
	sentryslog "github.com/getsentry/sentry-go/slog"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/scrub"
	"github.com/opsmantik/sallyport/scrub/sentryscrub"
)

// TestScrubInFrontOfSentrysHandler shows the supported order: the scrubber's handler is
// the outer one, so that struct tags count, and sentryscrub is behind it for all that
// reaches Sentry by other ways.
func TestScrubInFrontOfSentrysHandler(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var sent strings.Builder
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = io.Copy(&sent, r.Body)
	}))
	defer server.Close()

	scrubber, err := scrub.New(scrub.Config{})
	require.NoError(t, err)
	options := sentry.ClientOptions{Dsn: strings.Replace(server.URL, "http://", "http://key@", 1) + "/1"}
	_, err = sentryscrub.Configure(&options, scrubber)
	require.NoError(t, err)
	client, err := sentry.NewClient(options)
	require.NoError(t, err)
	defer client.Close()
	hub := sentry.NewHub(client, sentry.NewScope())
	ctx := sentry.SetHubOnContext(t.Context(), hub)

	type account struct {
		Name  string `pii:"confidential"`
		Plan  string `pii:"public"`
		inner string
	}
	logger := slog.New(scrubber.Handler(sentryslog.Option{}.NewSentryHandler(ctx)))
	logger.ErrorContext(ctx, "failed for ann@example.com", "account", account{"Ann Lee", "gold", "hidden"})
	require.True(t, hub.Flush(10*time.Second))
	mu.Lock()
	defer mu.Unlock()
	for _, private := range []string{"Ann Lee", "hidden", "example.com"} {
		require.NotContains(t, sent.String(), private)
	}
	require.Contains(t, sent.String(), "gold")
}
