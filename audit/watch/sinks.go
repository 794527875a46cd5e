package watch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// Log returns an OnAlert that writes one line per alert: pages as errors, so that a
// handler that reports errors elsewhere, to Sentry say, reports pages.
func Log(log *slog.Logger) func(context.Context, []Alert) error {
	return func(ctx context.Context, alerts []Alert) error {
		for _, a := range alerts {
			level, message := slog.LevelWarn, "alert"
			switch {
			case !a.Ended.IsZero():
				level, message = slog.LevelInfo, "alert resolved"
			case a.Tier == Page:
				level = slog.LevelError
			}
			log.LogAttrs(ctx, level, message,
				slog.String("id", a.ID), slog.String("code", a.Code), slog.String("rule", a.Rule),
				slog.String("site", a.Tenant), slog.String("tier", a.Tier.String()),
				slog.Time("since", a.Since), slog.Float64("seen", a.Seen),
				slog.Float64("usual", a.Usual), slog.String("condition", a.Condition),
				slog.String("hint", a.Hint), slog.Any("top", a.Top))
		}
		return nil
	}
}

// webhookLimit is how long a delivery may take.
const webhookLimit = 10 * time.Second

// Webhook returns an OnAlert that posts {"alerts": [...]} to a URL. Sign it by the
// client's Transport, such as hmacsig's Signer around http.DefaultTransport; the example
// shows it. It follows no redirect: the body is for that URL alone.
func Webhook(url string, client *http.Client) func(context.Context, []Alert) error {
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return func(ctx context.Context, alerts []Alert) error {
		ctx, cancel := context.WithTimeout(ctx, webhookLimit)
		defer cancel()
		body, err := json.Marshal(map[string][]Alert{"alerts": alerts})
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return fmt.Errorf("watch: webhook: %w", err)
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := own.Do(req)
		if err != nil {
			return fmt.Errorf("watch: webhook: %w", err)
		}
		defer func() { _ = res.Body.Close() }()
		_, _ = io.CopyN(io.Discard, res.Body, 64<<10)
		if res.StatusCode/100 != 2 {
			return fmt.Errorf("watch: webhook answered %d", res.StatusCode)
		}
		return nil
	}
}
