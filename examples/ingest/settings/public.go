package settings

import (
	"net/url"
	"strings"
)

// publicPrefixes mark variables that front-end build tools compile into pages:
// whatever they hold, every visitor can read.
var publicPrefixes = []string{
	"NEXT_PUBLIC_", "VITE_", "REACT_APP_", "PUBLIC_", "NUXT_PUBLIC_", "EXPO_PUBLIC_",
}

// refusePublicCopies finds secrets that also stand in a public variable.
func refusePublicCopies(v *values, s *Settings, environ []string) {
	secrets := s.secrets()
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !isPublic(name) {
			continue
		}
		for setting, secret := range secrets {
			if strings.Contains(value, secret) {
				v.problem(setting, "its secret also stands in the public variable %s, which is "+
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

// secrets returns every secret value with the setting it came from.
func (s *Settings) secrets() map[string]string {
	secrets := map[string]string{}
	add := func(setting, value string) {
		if value != "" {
			secrets[setting] = value
		}
	}
	add("QSTASH_CURRENT_SIGNING_KEY", s.CurrentKey)
	add("QSTASH_NEXT_SIGNING_KEY", s.NextKey)
	if u, err := url.Parse(s.RedisURL); err == nil {
		redisPassword, _ := u.User.Password()
		add("REDIS_URL", redisPassword)
	}
	for _, site := range s.Sites {
		add("SITES_FILE: secret of "+site.Name, site.Secret)
		add("SITES_FILE: next_secret of "+site.Name, site.NextSecret)
	}
	for _, user := range s.Users {
		add("USERS_FILE: totp_secret of "+user.ID, user.TOTPSecret)
		add("USERS_FILE: password_hash of "+user.ID, user.PasswordHash)
	}
	return secrets
}
