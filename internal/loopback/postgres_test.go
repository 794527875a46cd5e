//go:build unix

package loopback_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/loopback"
)

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	conn := connect(t, loopback.Postgres(t))
	var super, encoding, addresses string
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT current_setting('is_superuser'),
		current_setting('server_encoding'), current_setting('listen_addresses')`).
		Scan(&super, &encoding, &addresses))
	require.Equal(t, "on", super)
	require.Equal(t, "UTF8", encoding)
	require.Equal(t, "127.0.0.1", addresses)
}

func TestPostgresKillAndRestart(t *testing.T) {
	t.Parallel()
	s := loopback.StartPostgres(t, "max_connections=17")
	conn := connect(t, s.DSN)
	_, err := conn.Exec(t.Context(), "CREATE TABLE kept AS SELECT 42 AS n")
	require.NoError(t, err)

	s.Kill()
	_, err = conn.Exec(t.Context(), "SELECT 1")
	require.Error(t, err)
	_, err = pgx.Connect(t.Context(), s.DSN)
	require.Error(t, err)

	s.Restart()
	conn = connect(t, s.DSN)
	var n int
	var limit string
	require.NoError(t, conn.QueryRow(t.Context(),
		"SELECT n, current_setting('max_connections') FROM kept").Scan(&n, &limit))
	require.Equal(t, 42, n, "committed rows survive")
	require.Equal(t, "17", limit)

	began := time.Now()
	s.Restart() // of a running server, with a connection open
	require.Less(t, time.Since(began), time.Minute)
}
