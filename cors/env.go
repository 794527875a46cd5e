package cors

import (
	"errors"
	"os"
	"strings"
)

// FromEnv reads a comma-separated list of origins, for Config.Origins, from
// the environment variable of that name. Spaces around entries are trimmed. An
// unset or empty variable is an error, and so is every entry that is not an
// origin or pattern; "*" is one of those: to admit everybody takes code. New
// goes on to check what depends on the rest of the Config.
func FromEnv(name string) ([]string, error) {
	value := strings.TrimSpace(os.Getenv(name))
	if value == "" {
		return nil, &ConfigError{name, "", "is unset or empty; list the allowed origins, comma-separated"}
	}
	set := originSet{exact: make(map[string]struct{})}
	var problems []error
	entries := strings.Split(value, ",")
	for i := range entries {
		entries[i] = strings.TrimSpace(entries[i])
		if _, flaw := set.add(entries[i]); flaw != "" {
			problems = append(problems, &ConfigError{name, redact(entries[i]), flaw})
		}
	}
	if problems != nil {
		return nil, errors.Join(problems...)
	}
	return entries, nil
}
