package cors

import (
	"os"
	"strings"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
)

// FromEnv reads a comma-separated list of origins, for Config.Origins, from
// the environment variable of that name. Spaces around entries are trimmed.
//
//	ALLOWED_ORIGINS=https://app.example.com,https://*.shop.example.com // permitted
//	ALLOWED_ORIGINS=http://localhost:3000                              // permitted
//	ALLOWED_ORIGINS=                                                   // refused, as is unset
//	ALLOWED_ORIGINS=*                                                  // refused: that takes code
//	ALLOWED_ORIGINS=app.example.com,                                   // refused, twice
//
// The errors are as New's, with the variable's name as the field. New goes on
// to check what depends on the rest of the Config.
func FromEnv(name string) ([]string, error) {
	problems := configerr.For(gateName)
	value := strings.TrimSpace(os.Getenv(name))
	if value == "" {
		problems.Add(name, "", sallyport.ConfigRequired,
			"is unset or empty; list the allowed origins, comma-separated")
		return nil, problems.Err()
	}
	set := originSet{exact: make(map[string]struct{})}
	entries := strings.Split(value, ",")
	for i := range entries {
		entries[i] = strings.TrimSpace(entries[i])
		o, bad := set.add(entries[i])
		if bad == (flaw{}) {
			bad = pageFlaw(o)
		}
		if bad != (flaw{}) {
			problems.Add(name, redact(entries[i]), bad.code, bad.fix)
		}
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return entries, nil
}
