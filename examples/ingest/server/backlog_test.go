package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/server"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/qstash"
)

// Before more waits than a restart can store in time, senders are told to come back,
// and balancers to send them elsewhere. Once it is stored, all is as before.
func TestABacklogIsRefusedAndDrains(t *testing.T) {
	t.Parallel()
	s := configured(t)
	r := run(t, s, func(cfg *server.Config) { cfg.Backlog = time.Millisecond }) // the least: 2,000
	mend := r.outage()
	sent := 0
	var got answer
	for range 100 {
		events := make([]string, 100)
		for i := range events {
			events[i] = unique()
		}
		got = r.do(http.MethodPost, "/api/sync", fmt.Sprintf(`{"events":[%s]}`, strings.Join(events, ",")),
			"Origin", originA)
		if got.Status != 202 {
			break
		}
		sent += 100
	}
	require.Equal(t, 503, got.Status, "%d were taken", sent)
	require.Equal(t, "queue_backlog", got.Code())
	require.NotEmpty(t, got.Header.Get("Retry-After"))
	require.Equal(t, originA, got.Header.Get("Access-Control-Allow-Origin"))
	ready := r.do(http.MethodGet, "/readyz", "")
	require.Equal(t, 503, ready.Status)
	require.Equal(t, "queue_backlog", ready.Code())
	require.Equal(t, 200, r.do(http.MethodGet, "/healthz", "").Status)
	mend()
	require.Equal(t, sent, r.stored("events"))
	require.Equal(t, 200, r.do(http.MethodGet, "/readyz", "").Status)
	require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", unique(), "Origin", originA).Status)
}

// elsewhere delivers events from another machine, unless it fails.
type elsewhere struct {
	mu   sync.Mutex
	got  []event.Received
	fail error
}

func (e *elsewhere) Enqueue(_ context.Context, received []event.Received) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.got = append(e.got, received...)
	return e.fail
}

func (e *elsewhere) Ready(context.Context) error { return e.fail }

// Where events are delivered from elsewhere, they are published and nothing else, and
// the deliveries come in by the worker's own route.
func TestEventsMayBeDeliveredFromElsewhere(t *testing.T) {
	t.Parallel()
	out := &elsewhere{}
	r := run(t, configured(t), func(cfg *server.Config) { cfg.Queue, cfg.Intake = nil, out })
	require.Equal(t, 202, r.do(http.MethodPost, "/api/sync", unique(), "Origin", originA).Status)
	require.Len(t, out.got, 1)
	require.Zero(t, r.stored("events"))
	require.Equal(t, 200, r.do(http.MethodGet, "/readyz", "").Status)

	payload, err := store.Encode(out.got)
	require.NoError(t, err)
	signer, err := qstash.NewSigner(qstash.SignerConfig{
		URL: r.URL + "/api/sync/worker", Secret: secretOf(t, signingKey),
	})
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL+"/api/sync/worker",
		strings.NewReader(`{"events":[`+string(payload)+`]}`))
	require.NoError(t, err)
	require.NoError(t, signer.Sign(req))
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, 1, r.stored("events"))

	failing := &elsewhere{fail: errors.New("no answer")}
	r = run(t, configured(t), func(cfg *server.Config) { cfg.Queue, cfg.Intake = nil, failing })
	require.Equal(t, 503, r.do(http.MethodPost, "/api/sync", unique(), "Origin", originA).Status)
	require.Equal(t, 503, r.do(http.MethodGet, "/readyz", "").Status)
}

func secretOf(t *testing.T, value string) hmacsig.Secret {
	t.Helper()
	secret, err := hmacsig.NewSecret(hmacsig.SecretConfig{Value: value, AllowShort: true})
	require.NoError(t, err)
	return secret
}
