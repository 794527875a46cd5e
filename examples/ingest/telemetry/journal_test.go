package telemetry_test

import (
	"bytes"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/ingest/telemetry"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/ratelimit/loginguard"
)

func journal() (*telemetry.Journal, *bytes.Buffer) {
	var lines bytes.Buffer
	log := slog.New(slog.NewTextHandler(&lines, nil))
	return telemetry.NewJournal(log, telemetry.NewMetrics()), &lines
}

// Security events leave a trace, and a flood of them does not fill the disk.
func TestRefusalsAreOneLinePerKindWithTheirCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, lines := journal()
		refused := sallyport.Event{Gate: "cors", Code: "origin_not_listed"}
		for range 1000 {
			j.OnEvent(t.Context(), refused)
		}
		require.Equal(t, 1, strings.Count(lines.String(), "origin_not_listed"))
		time.Sleep(10 * time.Second)
		j.OnEvent(t.Context(), refused)
		require.Contains(t, lines.String(), "count=1000")
		j.OnEvent(t.Context(), sallyport.Event{Gate: "cors", Code: "origin_listed", Allowed: true})
		require.NotContains(t, lines.String(), "origin_listed ")
	})
}

func TestWhatIsAlwaysWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, lines := journal()
		for range 3 {
			j.OnEvent(t.Context(), sallyport.Event{Gate: "loginguard", Code: loginguard.CodeBanned, Policy: "login-pair", Actor: "hunter2"})
			j.OnEvent(t.Context(), sallyport.Event{Gate: "account", Code: "password_accepted", Allowed: true, Actor: "u1"})
		}
		require.Equal(t, 3, strings.Count(lines.String(), "ban started"))
		require.Equal(t, 3, strings.Count(lines.String(), "user=u1"))
		require.NotContains(t, lines.String(), "hunter2", "a password may be typed for a name")
		j.OnEvent(t.Context(), sallyport.Event{Gate: "hmacsig", Code: hmacsig.CodeReplayShareFull, Tenant: "a"})
		require.Contains(t, lines.String(), "level=ERROR msg=refused gate=hmacsig code=replay_share_full site=a")
	})
}

// Tenants that nobody proved do not fill the memory, nor their lines the log.
func TestTheJournalIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, lines := journal()
		for i := range 100_000 {
			j.OnEvent(t.Context(), sallyport.Event{Gate: "tenancy", Code: "resource_not_found", Tenant: strconv.Itoa(i)})
		}
		require.Equal(t, 50, strings.Count(lines.String(), "\n"))
		time.Sleep(time.Second)
		j.OnEvent(t.Context(), sallyport.Event{Gate: "account", Code: "signed_out", Allowed: true})
		require.Contains(t, lines.String(), "lines_left_out=951")
	})
}

func TestBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		log := slog.New(telemetry.Bounded(slog.NewTextHandler(&lines, nil), 2))
		for range 10 {
			log.With("a", 1).WithGroup("g").Warn("TLS handshake error")
		}
		time.Sleep(time.Second)
		log.Warn("the next")
		require.Equal(t, 3, strings.Count(lines.String(), "\n"))
		require.Contains(t, lines.String(), `"the next" lines_left_out=8`)
	})
}
