package tenancy

import (
	"context"
	"net/http"
)

type Permission interface{ Permission() string }
type Grant[P Permission] struct{ proof *int }
type Scope struct{ proof *int }
type ServiceGrant[P Permission] struct{ proof *int }
type ServiceScope struct{ proof *int }
type Gate struct{}
type Source struct{}
type Config struct {
	Identify func(*http.Request) (string, error)
	Sources  []Source
	Member   func(ctx context.Context, user, site string) (string, error)
}

func New(Config) (*Gate, error)                                               { return nil, nil }
func FromPath(string) Source                                                  { return Source{} }
func FromLookup(name string, find func(*http.Request) (string, error)) Source { return Source{} }
func (Grant[P]) Scope() Scope                                                 { return Scope{} }
func (Grant[P]) Site() string                                                 { return "" }
func (Scope) Site() string                                                    { return "" }
func (ServiceGrant[P]) Scope() ServiceScope                                   { return ServiceScope{} }
func Check[P Permission](g *Gate, r *http.Request) (Grant[P], error)          { return Grant[P]{}, nil }
func Route[P Permission](g *Gate, h func(http.ResponseWriter, *http.Request, Grant[P])) (http.Handler, error) {
	return nil, nil
}
func AuthorizeService[P Permission](ctx context.Context, g *Gate, who, reason string) (ServiceGrant[P], error) {
	return ServiceGrant[P]{}, nil
}
