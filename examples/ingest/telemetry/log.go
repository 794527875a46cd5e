// Package telemetry is how the server tells its operator what it does: a
// scrubbed log, Sentry and metrics.
package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/getsentry/sentry-go"
	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport/scrub"
)

// NewLogger returns a logger whose every record is scrubbed before it is
// rendered. With a DSN, errors go to Sentry too. Close sends what is waiting.
func NewLogger(w io.Writer, sentryDSN string) (log *slog.Logger, closeLog func(), err error) {
	scrubber, err := scrub.New(scrub.Config{})
	if err != nil {
		return nil, nil, err
	}
	var sink slog.Handler = slog.NewJSONHandler(w, nil)
	closeLog = func() {}
	if sentryDSN != "" {
		client, err := sentryClient(sentryDSN, scrubber)
		if err != nil {
			return nil, nil, err
		}
		sink = &errorReports{Handler: sink, hub: sentry.NewHub(client, sentry.NewScope())}
		closeLog = func() { client.Flush(flushLimit) }
	}
	return slog.New(scrubber.Handler(sink)), closeLog, nil
}

// RedirectRedisLog sends what the Redis client prints through log, scrubbed
// and at level Debug: the gates report outages themselves. It is process-wide,
// which is for main to decide.
func RedirectRedisLog(log *slog.Logger) { redis.SetLogger(redisLog{log}) }

type redisLog struct{ log *slog.Logger }

func (l redisLog) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, "redis client", "text", fmt.Sprintf(format, args...))
}
