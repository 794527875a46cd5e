package store

import (
	"context"

	"github.com/opsmantik/sallyport/tenancy"
)

type Call struct{ ID, SiteID string }
type Params struct {
	SiteID string
	ID     string
}
type Store struct{}

func (*Store) Calls(ctx context.Context, site string) ([]Call, error)           { return nil, nil }
func (*Store) ScopedCalls(ctx context.Context, s tenancy.Scope) ([]Call, error) { return nil, nil }
func (*Store) Call(ctx context.Context, id string) (Call, error)                { return Call{}, nil }
func (*Store) ScopedCall(ctx context.Context, s tenancy.Scope, id string) (Call, error) {
	return Call{}, nil
}
func (*Store) CallIn(ctx context.Context, site, id string) (Call, error) { return Call{}, nil }
func (*Store) Find(ctx context.Context, p Params) (Call, error)          { return Call{}, nil }
func (*Store) Delete(id string) error                                    { return nil }
func SiteOfCall(ctx context.Context, id string) (string, error)          { return "", nil }
