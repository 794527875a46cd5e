package apikey_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/tenancy/apikey"
	"github.com/opsmantik/sallyport/tenancy/apikey/storetest"
)

// postgres is the store that the comment of apikey.Store describes, in a table of its
// own.
type postgres struct {
	pool  *pgxpool.Pool
	table string
}

const postgresSchema = `CREATE TABLE %s (
	id text PRIMARY KEY COLLATE "C", hash bytea NOT NULL UNIQUE, user_id text NOT NULL COLLATE "C",
	name text NOT NULL, scopes text[] NOT NULL, created timestamptz NOT NULL,
	expires timestamptz NOT NULL, revoked timestamptz, last_used timestamptz)`

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (p *postgres) Create(ctx context.Context, r apikey.Record) error {
	tag, err := p.pool.Exec(ctx, `INSERT INTO `+p.table+
		` VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
		r.ID, r.Hash[:], r.User, r.Name, r.Scopes, r.Created, r.Expires, orNull(r.Revoked),
		orNull(r.LastUsed))
	if err == nil && tag.RowsAffected() == 0 {
		return apikey.ErrExists
	}
	return err
}

func (p *postgres) Find(ctx context.Context, hash [sha256.Size]byte) (apikey.Record, error) {
	r := apikey.Record{Hash: hash}
	var revoked, used *time.Time
	err := p.pool.QueryRow(ctx, `SELECT id, user_id, name, scopes, created, expires, revoked,
		last_used FROM `+p.table+` WHERE hash = $1`, hash[:]).Scan(
		&r.ID, &r.User, &r.Name, &r.Scopes, &r.Created, &r.Expires, &revoked, &used)
	if errors.Is(err, pgx.ErrNoRows) {
		return apikey.Record{}, apikey.ErrNotFound
	}
	if revoked != nil {
		r.Revoked = *revoked
	}
	if used != nil {
		r.LastUsed = *used
	}
	return r, err
}

func (p *postgres) End(ctx context.Context, user, id string, at time.Time) error {
	tag, err := p.pool.Exec(ctx, `UPDATE `+p.table+` SET revoked = least(revoked, $3)
		WHERE id = $2 AND user_id = $1`, user, id, at)
	if err == nil && tag.RowsAffected() == 0 {
		return apikey.ErrNotFound
	}
	return err
}

func (p *postgres) Touch(ctx context.Context, id string, at time.Time) error {
	_, err := p.pool.Exec(ctx, `UPDATE `+p.table+` SET last_used = $2 WHERE id = $1
		AND (revoked IS NULL OR revoked > $2) AND (last_used IS NULL OR last_used < $2)`, id, at)
	return err
}

// TestPostgres runs the suite against a real server, with the statements that the
// documentation of Store names.
func TestPostgres(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), loopback.Postgres(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	var tables atomic.Int64
	storetest.Run(t, func(t *testing.T) apikey.Store {
		table := fmt.Sprint("keys_", tables.Add(1))
		_, err := pool.Exec(t.Context(), fmt.Sprintf(postgresSchema, table))
		require.NoError(t, err)
		return &postgres{pool, table}
	})
}
