package apikeys

import (
	"context"
	"strings"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy/apikey"
)

// acting is who changes a key, for which site, and which key a new one replaces. It is
// its own key in a context.
type acting struct{ user, site, replaces string }

// Recorded is a store that records every key that is made or ended, before it is: what
// cannot be recorded does not happen. What then fails is recorded as failed.
type Recorded struct {
	store.APIKeys
	Record func(context.Context, audit.Record) error
}

// Create adds a key.
func (s Recorded) Create(ctx context.Context, r apikey.Record) error {
	what := about(ctx, "api_key.create", r.User, r.ID)
	what.Fields = fields("name", r.Name, "scopes", strings.Join(store.KeyPermissions(r.Scopes), " "),
		"expires", r.Expires.Format(time.RFC3339))
	if by, _ := ctx.Value(acting{}).(acting); by.replaces != "" {
		what.Fields = append(what.Fields, fields("replaces", by.replaces)...)
	}
	return s.recorded(ctx, what, func() error { return s.APIKeys.Create(ctx, r) })
}

// End ends a user's key.
func (s Recorded) End(ctx context.Context, user, id string, at time.Time) error {
	what := about(ctx, "api_key.end", user, id)
	what.Fields = fields("user", user, "at", at.Format(time.RFC3339))
	return s.recorded(ctx, what, func() error { return s.APIKeys.End(ctx, user, id, at) })
}

func about(ctx context.Context, action, owner, id string) audit.Record {
	by, ok := ctx.Value(acting{}).(acting)
	if !ok {
		by.user = owner
	}
	return audit.Record{
		Time: time.Now(), Actor: audit.Ref{Kind: "user", ID: by.user}, Tenant: by.site,
		Action: action, Target: audit.Ref{Kind: "api_key", ID: id}, Outcome: audit.OutcomeSuccess,
	}
}

func (s Recorded) recorded(ctx context.Context, what audit.Record, do func() error) error {
	if err := s.Record(ctx, what); err != nil {
		return err
	}
	err := do()
	if err != nil {
		what.Time, what.Outcome = time.Now(), audit.OutcomeFailure
		_ = s.Record(context.WithoutCancel(ctx), what) // the first one stands
	}
	return err
}

// fields are internal: a name that an admin gave, and what the key may do.
func fields(pairs ...string) (all []audit.Field) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, audit.Field{Name: pairs[i], Value: pairs[i+1], Class: sallyport.Internal})
	}
	return all
}
