package operate

import (
	"context"
	"errors"
	"fmt"

	"github.com/opsmantik/sallyport/examples/ingest/postgres"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
)

// migrate brings the schema in Postgres up to date. A deploy step runs it before the new
// version starts, so that no instance needs the owner's login.
func migrate(ctx context.Context, c *Console, args []string) error {
	own, flags := words(args)
	if len(own) > 0 {
		return errUsage
	}
	s, err := settings.Load(flags, c.Environ)
	if err != nil {
		return err
	}
	if s.Database.MigrateURL == "" {
		return errors.New("MIGRATE_DATABASE_URL is not set: it is the owner's login")
	}
	err = postgres.Migrate(ctx, postgres.Config{
		URL: s.Database.URL, ServiceURL: s.Database.ServiceURL, MigrateURL: s.Database.MigrateURL,
	})
	if err == nil {
		_, _ = fmt.Fprintln(c.Out, "the schema is up to date")
	}
	return err
}
