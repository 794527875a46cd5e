package operate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
)

// maxDead is how many dead letters one list shows.
const maxDead = 1000

// dead lists, shows and replays dead letters, also while the server runs.
func dead(ctx context.Context, c *Console, args []string) error {
	own, flags := words(args)
	want := map[string]int{"list": 2, "show": 3, "replay": 2} // words
	if len(own) == 0 || len(own) != want[own[0]] {
		return errUsage
	}
	s, err := settings.Load(flags, c.Environ)
	if err != nil {
		return err
	}
	scope, err := operator(ctx, s, own[1])
	if err != nil {
		return err
	}
	if s.Database.URL == "" {
		return c.embedded(ctx, s, scope, own)
	}
	db, queue, err := c.Open(ctx, s, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if queue == nil {
		return errors.Join(errors.New("with Postgres alone there is no queue, and nothing that it refused"), db.Close())
	}
	if own[0] == "replay" {
		err = c.replay(ctx, queue, scope)
	} else {
		var rows []store.DeadRow
		if rows, err = queue.DeadOf(ctx, scope, maxDead); err == nil {
			err = c.print(rows, scope.Site(), own)
		}
	}
	return errors.Join(err, queue.Close(), db.Close())
}

// embedded reads beside the server, to which SQLite's file belongs.
func (c *Console) embedded(ctx context.Context, s *settings.Settings, scope tenancy.Scope, own []string) error {
	if own[0] == "replay" {
		return errors.New("ask the running server, by its page or POST /api/sites/SITE/dead/replay; " +
			"one that starts tries all of them again")
	}
	rows, err := sqlite.DeadLetters(ctx, s.DataDir, scope, maxDead)
	if err != nil {
		return err
	}
	return c.print(rows, scope.Site(), own)
}

// print prints all rows, or the one that was asked for.
func (c *Console) print(rows []store.DeadRow, site string, own []string) error {
	if own[0] == "list" {
		for _, row := range rows {
			_, _ = fmt.Fprintf(c.Out, "%s\t%s\t%d bytes\n", row.ID, row.DeadAt.Format(time.DateTime), len(row.Event))
		}
		_, err := fmt.Fprintf(c.Out, "%d dead letters of site %s\n", len(rows), site)
		return err
	}
	for _, row := range rows {
		if row.ID != own[2] {
			continue
		}
		if err := row.Event.Indent(); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.Out, "%s\n", row.Event)
		return err
	}
	return fmt.Errorf("site %s has no dead letter %s", site, strconv.Quote(own[2]))
}

func (c *Console) replay(ctx context.Context, queue store.Queue, scope tenancy.Scope) error {
	n, err := queue.Replay(ctx, scope)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.Out, "%d letters wait for delivery again\n", n)
	return err
}

// letters is the permission to handle dead letters on this machine.
type letters struct{}

// Permission names it.
func (letters) Permission() string { return "letters" }

// operator is the scope of whoever may read the server's files: they may do anything,
// and what they do to a site is recorded under this name.
func operator(ctx context.Context, s *settings.Settings, site string) (scope tenancy.Scope, err error) {
	gate, err := tenancy.New(tenancy.Config{
		Identify: func(*http.Request) (sallyport.Principal, error) {
			return sallyport.Principal{}, tenancy.ErrUnauthenticated // there are no requests
		},
		Sources: []tenancy.Source{tenancy.FromPath("site_id")},
		Member: func(_ context.Context, _, site string) (tenancy.Role, error) {
			for _, known := range s.Sites {
				if known.ID == site {
					return "operator", nil
				}
			}
			return "", tenancy.ErrNotMember
		},
		Roles: map[tenancy.Role]tenancy.Rights{
			"operator": {Permissions: []string{"letters"}, Level: sallyport.AAL1},
		},
	})
	if err != nil {
		return scope, err
	}
	grant, err := tenancy.Authorize[letters](ctx, gate, sallyport.Principal{
		Kind: sallyport.KindUser, ID: "operator", Level: sallyport.AAL1,
	}, site)
	if err != nil {
		return scope, fmt.Errorf("SITES_FILE has no site %s", strconv.Quote(site))
	}
	return grant.Scope(), nil
}
