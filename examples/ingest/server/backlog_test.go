package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/server"
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
