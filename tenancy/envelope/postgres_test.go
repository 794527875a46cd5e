package envelope_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/tenancy/envelope"
	"github.com/opsmantik/sallyport/tenancy/envelope/storetest"
)

// postgres is the store that the comment of envelope.Store describes, in a table of its
// own.
type postgres struct {
	pool  *pgxpool.Pool
	table string
}

const postgresSchema = `CREATE TABLE %s (
	site text NOT NULL COLLATE "C", subject text NOT NULL COLLATE "C", version int NOT NULL,
	handle text NOT NULL, commitment bytea NOT NULL, kek text NOT NULL, wrapped bytea NOT NULL,
	created timestamptz NOT NULL, seals bigint NOT NULL, PRIMARY KEY (site, subject, version))`

func (p *postgres) Load(
	ctx context.Context, owner envelope.Owner, reserve uint64,
) (keys []envelope.Key, err error) {
	err = pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE `+p.table+` SET seals = seals + $3
			WHERE site = $1 AND subject = $2 AND version =
			(SELECT max(version) FROM `+p.table+` WHERE site = $1 AND subject = $2)`,
			owner.Site, owner.Subject, int64(reserve)); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT version, handle, commitment, kek, wrapped, created, seals
			FROM `+p.table+` WHERE site = $1 AND subject = $2 ORDER BY version`,
			owner.Site, owner.Subject)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			k := envelope.Key{Owner: owner}
			var commit []byte
			if err := rows.Scan(&k.Version, &k.Handle, &commit, &k.KEK, &k.Wrapped, &k.Created,
				&k.Seals); err != nil {
				return err
			}
			if len(commit) != envelope.CommitSize {
				return errors.New("commitment")
			}
			k.Commit = [envelope.CommitSize]byte(commit)
			keys = append(keys, k)
		}
		return rows.Err()
	})
	return keys, err
}

func (p *postgres) Add(ctx context.Context, k envelope.Key) error {
	tag, err := p.pool.Exec(ctx, `INSERT INTO `+p.table+
		` VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
		k.Owner.Site, k.Owner.Subject, k.Version, k.Handle, k.Commit[:], k.KEK, k.Wrapped,
		k.Created, int64(k.Seals))
	if err == nil && tag.RowsAffected() == 0 {
		return envelope.ErrExists
	}
	return err
}

func (p *postgres) Rewrap(ctx context.Context, k envelope.Key, old []byte) error {
	tag, err := p.pool.Exec(ctx, `UPDATE `+p.table+` SET kek = $4, wrapped = $5
		WHERE site = $1 AND subject = $2 AND version = $3 AND wrapped = $6`,
		k.Owner.Site, k.Owner.Subject, k.Version, k.KEK, k.Wrapped, old)
	if err == nil && tag.RowsAffected() == 0 {
		return envelope.ErrExists
	}
	return err
}

func (p *postgres) Shred(ctx context.Context, owner envelope.Owner) error {
	_, err := p.pool.Exec(ctx, `DELETE FROM `+p.table+` WHERE site = $1 AND subject = $2`,
		owner.Site, owner.Subject)
	return err
}

// TestPostgres runs the suite against a real server, with the statements that the
// documentation of Store names, and the vault on top.
func TestPostgres(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), loopback.Postgres(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	var tables atomic.Int64
	open := func(t *testing.T) envelope.Store {
		table := fmt.Sprint("keys_", tables.Add(1))
		_, err := pool.Exec(t.Context(), fmt.Sprintf(postgresSchema, table))
		require.NoError(t, err)
		return &postgres{pool, table}
	}
	storetest.Run(t, open)

	w := newWorld(t, func(c *envelope.Config) { c.Store = open(t) })
	sealed := w.seal(t, place, secret)
	w.Forget(owner)
	opened, err := w.Open(t.Context(), nil, place, sealed)
	require.NoError(t, err)
	require.Equal(t, secret, opened)
	require.NoError(t, w.Shred(t.Context(), owner))
	_, err = w.Open(t.Context(), nil, place, sealed)
	require.ErrorIs(t, err, envelope.ErrShredded)
}
