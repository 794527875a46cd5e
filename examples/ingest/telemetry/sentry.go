package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/getsentry/sentry-go"

	"github.com/opsmantik/sallyport/scrub"
	"github.com/opsmantik/sallyport/scrub/sentryscrub"
)

// flushLimit is how long a stopping server waits for its last reports.
const flushLimit = 2 * time.Second

func sentryClient(dsn string, scrubber *scrub.Scrubber) (*sentry.Client, error) {
	options := sentry.ClientOptions{Dsn: dsn, ServerName: "ingest"}
	if _, err := sentryscrub.Configure(&options, scrubber); err != nil {
		return nil, err
	}
	client, err := sentry.NewClient(options)
	if err != nil {
		// The SDK's text quotes the DSN, which holds a key.
		return nil, errors.New("SENTRY_DSN: is not a DSN")
	}
	return client, nil
}

// errorReports sends records of level Error to Sentry, besides logging them.
// It stands behind the scrubbing handler, so it sees scrubbed records only.
type errorReports struct {
	slog.Handler
	hub   *sentry.Hub
	attrs []slog.Attr
}

func (h *errorReports) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		details := sentry.Context{}
		for _, attr := range h.attrs {
			details[attr.Key] = attr.Value.String()
		}
		r.Attrs(func(attr slog.Attr) bool {
			details[attr.Key] = attr.Value.String()
			return true
		})
		event := sentry.NewEvent()
		event.Level, event.Message = sentry.LevelError, r.Message
		event.Contexts["log"] = details
		h.hub.CaptureEvent(event)
	}
	return h.Handler.Handle(ctx, r)
}

func (h *errorReports) WithAttrs(attrs []slog.Attr) slog.Handler {
	all := append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)
	return &errorReports{Handler: h.Handler.WithAttrs(attrs), hub: h.hub, attrs: all}
}

func (h *errorReports) WithGroup(name string) slog.Handler {
	return &errorReports{Handler: h.Handler.WithGroup(name), hub: h.hub, attrs: h.attrs}
}
