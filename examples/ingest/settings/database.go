package settings

import (
	"strconv"

	"github.com/opsmantik/sallyport/examples/ingest/postgres"
)

// Database says where the store is in Postgres. It is empty for the embedded one.
type Database struct {
	URL        string // DATABASE_URL, the application's login
	ServiceURL string // SERVICE_DATABASE_URL
	MigrateURL string // MIGRATE_DATABASE_URL, may be empty
	KeepMonths int    // EVENTS_KEEP_MONTHS
}

// maxKeepMonths bounds EVENTS_KEEP_MONTHS.
const maxKeepMonths = 1200

// database checks the logins. None is quoted: they hold passwords.
func (s *Settings) database(v *values) {
	s.Database = Database{
		URL: v.get("DATABASE_URL"), ServiceURL: v.get("SERVICE_DATABASE_URL"),
		MigrateURL: v.get("MIGRATE_DATABASE_URL"), KeepMonths: s.Database.KeepMonths,
	}
	names := []string{"DATABASE_URL", "SERVICE_DATABASE_URL", "MIGRATE_DATABASE_URL"}
	users := map[string]string{}
	any := v.present[names[0]] || v.present[names[1]] || v.present[names[2]]
	for i, name := range names {
		switch {
		case !v.present[name] && (!any || i == 2):
			continue
		case v.get(name) == "":
			v.problem(name, "is missing or empty; with Postgres the application and the service have a "+
				"login each: set it, or unset all of DATABASE_URL, SERVICE_DATABASE_URL and "+
				"MIGRATE_DATABASE_URL")
			continue
		}
		parsed, err := postgres.Parse(v.get(name))
		if err != nil {
			v.problem(name, "%v", err)
			continue
		}
		if other, taken := users[parsed.ConnConfig.User]; taken {
			v.problem(name, "logs in as the user of %s; each has a login of its own", other)
		}
		users[parsed.ConnConfig.User] = name
	}
}

func (s *Settings) keepMonths(v *values) {
	n, err := strconv.Atoi(v.get("EVENTS_KEEP_MONTHS"))
	if err != nil || n < 0 || n > maxKeepMonths {
		v.problem("EVENTS_KEEP_MONTHS", "want a whole number from 0, which keeps them for ever, to %d",
			maxKeepMonths)
	}
	s.Database.KeepMonths = n
}
