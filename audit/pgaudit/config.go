package pgaudit

import (
	"context"
	_ "embed" // schema.sql
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
)

// Config configures a [Log]. New copies it.
type Config struct {
	_ [0]func() // keyed literals only; not comparable

	// Pool is the sequencer's own login. Required. The application's login can only
	// add records.
	Pool *pgxpool.Pool

	// Published is the last tree that left the database owner's reach. If it is set,
	// New reads the log up to it and refuses one that is shorter or different.
	Published tlog.Tree

	// Batch is how many records one round takes at most. Default 4096; 1 to 65536.
	Batch int

	// OnEvent, if set, is called once for each call of [Log.Append]. Detail is the
	// audit.Receipt.
	OnEvent func(context.Context, sallyport.Event)

	// OnError, if set, is called when a round of [Log.Run] fails.
	OnError func(context.Context, error)
}

func (c Config) validate() error {
	problems := configerr.For("audit")
	if c.Pool == nil {
		problems.Add("Pool", "", sallyport.ConfigRequired, "open one with pgxpool.New")
	}
	if c.Batch < 1 || c.Batch > 1<<16 {
		problems.Add("Batch", strconv.Itoa(c.Batch), sallyport.ConfigOutOfRange,
			"want 1 to 65536")
	}
	return problems.Err()
}

//go:embed schema.sql
var schema string

// Roles are the database roles of a log. They exist already; each logs in for itself.
type Roles struct {
	App       string // adds records, in its own transactions
	Sequencer string // orders them
	Auditor   string // reads
}

// Schema returns the statements that create the tables, for the owner to run once.
func Schema(roles Roles) (string, error) {
	problems := configerr.For("audit")
	var replace []string
	for _, role := range []struct{ field, name string }{
		{"app", roles.App}, {"sequencer", roles.Sequencer}, {"auditor", roles.Auditor},
	} {
		if role.name == "" || strings.ContainsRune(role.name, 0) {
			problems.Add("Roles."+role.field, role.name, sallyport.ConfigRequired,
				"name a role that exists")
		}
		replace = append(replace, "{"+role.field+"}", pgx.Identifier{role.name}.Sanitize())
	}
	return strings.NewReplacer(replace...).Replace(schema), problems.Err()
}
