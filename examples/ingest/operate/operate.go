// Package operate has the commands with which an operator runs the server: they work
// on the same settings and files, print what they did, and change nothing halfway.
package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/store"
)

// Console is where a command runs.
type Console struct {
	In       io.Reader // a terminal, or what is piped in
	Out, Err io.Writer
	Environ  []string
	// Open opens the store and, where there is one, the queue, as the server does.
	Open func(context.Context, *settings.Settings, *slog.Logger) (store.Store, store.Queue, error)
}

type command struct {
	name, usage, does string
	run               func(context.Context, *Console, []string) error
}

func commands() []command {
	return []command{
		{"hash-password", "", "reads a password and prints its hash for USERS_FILE", hashPassword},
		{
			"user", "add EMAIL ROLE [SITE...]",
			"adds a user to USERS_FILE, and shows the code for an authenticator app", user,
		},
		{"check", "[flags of the server]", "checks settings, files, database, Redis, certificate and clock", check},
		{"migrate", "[flags]", "brings the schema in Postgres up to date, as MIGRATE_DATABASE_URL", migrate},
		{"backup", "FOLDER [flags]", "copies what is in DATA_DIR, also while the server runs", backup},
		{"restore", "FOLDER [flags]", "puts a backup into an empty DATA_DIR", restore},
		{
			"dead", "list|show|replay SITE [ID] [flags]",
			"shows what the worker refused, or lets it try again", dead,
		},
	}
}

// errUsage means that the command was not called as it says.
var errUsage = errors.New("usage")

// Run runs the command that args begin with, and returns the exit code: 0, 1 when it
// failed, 2 when it was called wrongly or a check found something. Known is false when
// args begin with no word: they are the server's.
func Run(ctx context.Context, c *Console, args []string) (code int, known bool) {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return 0, false
	}
	i := slices.IndexFunc(commands(), func(cmd command) bool { return cmd.name == args[0] })
	if i < 0 {
		usage(c.Err)
		return 2, true
	}
	cmd := commands()[i]
	switch err := cmd.run(ctx, c, args[1:]); {
	case err == nil:
		return 0, true
	case errors.Is(err, errUsage):
		_, _ = fmt.Fprintf(c.Err, "usage: ingest %s %s\n", cmd.name, cmd.usage)
		return 2, true
	case errors.Is(err, errFound):
		return 2, true
	default:
		_, _ = fmt.Fprintf(c.Err, "ingest %s: %v\n", cmd.name, err)
		return 1, true
	}
}

func usage(w io.Writer) {
	_, _ = fmt.Fprintln(w, "ingest [flags] runs the server; -h lists its settings. Commands:")
	for _, cmd := range commands() {
		_, _ = fmt.Fprintf(w, "  %-40s %s\n", strings.TrimSpace(cmd.name+" "+cmd.usage), cmd.does)
	}
}

// words splits a command's arguments into its own words and the server's flags.
func words(args []string) (own, flags []string) {
	n := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "-") })
	if n < 0 {
		return args, nil
	}
	return args[:n], args[n:]
}
