package settings

import (
	"fmt"
	"net/url"
	"strings"
)

// publicPrefixes mark variables that front-end build tools compile into pages:
// whatever they hold, every visitor can read.
var publicPrefixes = []string{
	"NEXT_PUBLIC_", "VITE_", "REACT_APP_", "PUBLIC_", "NUXT_PUBLIC_", "EXPO_PUBLIC_",
}

// publicVariables picks them from an environment.
func publicVariables(environ []string) (public []string) {
	for _, entry := range environ {
		if name, _, _ := strings.Cut(entry, "="); isPublic(name) {
			public = append(public, entry)
		}
	}
	return public
}

// refusePublicCopies finds secrets that also stand in a public variable.
func (s *Settings) refusePublicCopies(v *values) {
	for _, entry := range s.public {
		name, value, _ := strings.Cut(entry, "=")
		for _, secret := range s.secrets() {
			if strings.Contains(value, secret.value) {
				v.problem(secret.setting, "its secret also stands in the public variable %s, which is "+
					"compiled into pages; replace the secret and remove the variable", name)
			}
		}
	}
}

func isPublic(name string) bool {
	for _, prefix := range publicPrefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// secret is one secret value and the setting it came from.
type secret struct{ setting, value string }

// secrets lists every secret value of the settings.
func (s *Settings) secrets() (all []secret) {
	add := func(setting, value string) {
		if value != "" {
			all = append(all, secret{setting, value})
		}
	}
	add("QSTASH_CURRENT_SIGNING_KEY", s.CurrentKey)
	add("QSTASH_NEXT_SIGNING_KEY", s.NextKey)
	add("QSTASH_TOKEN", s.Queue.QStashToken)
	for setting, text := range map[string]string{
		"REDIS_URL": s.RedisURL, "DATABASE_URL": s.Database.URL,
		"SERVICE_DATABASE_URL": s.Database.ServiceURL, "MIGRATE_DATABASE_URL": s.Database.MigrateURL,
	} {
		if u, err := url.Parse(text); err == nil {
			password, _ := u.User.Password()
			add(setting, password)
		}
	}
	for i, site := range s.Sites {
		name := fmt.Sprintf("SITES_FILE: site %d", i+1)
		add(name, site.Secret)
		add(name, site.NextSecret)
	}
	for i, user := range s.Users {
		name := fmt.Sprintf("USERS_FILE: user %d", i+1)
		add(name, user.TOTPSecret)
		add(name, user.PasswordHash)
	}
	return all
}
