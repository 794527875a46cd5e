package rls

import (
	"context"

	"github.com/opsmantik/sallyport/tenancy"
)

type DB struct{}
type ServiceDB struct{}
type Batch struct{}
type Tx struct{}

func (*DB) Read(ctx context.Context, s tenancy.Scope, b *Batch) error        { return nil }
func (*DB) Tx(ctx context.Context, s tenancy.Scope, fn func(Tx) error) error { return nil }
func (*ServiceDB) Tx(ctx context.Context, s tenancy.ServiceScope, fn func(Tx) error) error {
	return nil
}
func (*Batch) Query(rows func() error, sql string, args ...any)    {}
func (Tx) Exec(ctx context.Context, sql string, args ...any) error { return nil }
