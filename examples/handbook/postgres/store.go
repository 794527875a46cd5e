// Package postgres keeps the orders of many organisations in one table, where the
// database itself checks whose they are.
package postgres

import (
	"context"
	_ "embed"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/rls"
)

//go:embed schema.sql
var schema string

// Migration is what the owner of the tables runs once. It holds the seal key: keep it
// out of logs.
func Migration(key []byte) (string, error) {
	var sql strings.Builder
	sql.WriteString(schema + rls.Install() + rls.InstallKey("2026-11", key))
	for _, table := range []rls.Table{
		{Schema: "app", Name: "orders", Site: "org_id", SiteType: "uuid"},
		{
			Schema: "app", Name: "members", Site: "org_id", SiteType: "uuid",
			Owner: "user_id", OwnerType: "uuid", ReadOnly: true,
		},
	} {
		policies, err := rls.Policies(table, "server")
		if err != nil {
			return "", err
		}
		sql.WriteString(policies)
	}
	return sql.String(), nil
}

// Store has no query without the proof of access that tenancy gives a handler.
type Store struct{ db *rls.DB }

// Open refuses a login, a pooler or a schema with which row level security would not
// hold, and says of each what to do.
func Open(ctx context.Context, pool *pgxpool.Pool, key []byte) (*Store, error) {
	db, err := rls.Open(ctx, rls.Config{Pool: pool, Key: key, SearchPath: []string{"app"}})
	return &Store{db: db}, err
}

// Order is a row of app.orders.
type Order struct {
	ID   int64
	Note string
}

// Orders lists the orders of the scope's organisation. There is no "where org_id = ...":
// a query that forgets it is no leak.
func (s *Store) Orders(ctx context.Context, scope tenancy.Scope) (orders []Order, err error) {
	batch := &rls.Batch{}
	batch.Query(func(rows pgx.Rows) error {
		orders, err = pgx.CollectRows(rows, pgx.RowToStructByName[Order])
		return err
	}, "select id, note from orders order by id desc limit 50")
	return orders, s.db.Read(ctx, scope, batch)
}

// Add adds an order.
func (s *Store) Add(ctx context.Context, scope tenancy.Scope, note string) error {
	return s.db.Tx(ctx, scope, func(tx rls.Tx) error {
		_, err := tx.Exec(ctx, "insert into orders (org_id, note) values ($1, $2)", scope.Site(), note)
		return err
	})
}
