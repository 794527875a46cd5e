package settings

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// securityKeyRoles reads which roles act with a security key alone.
func (s *Settings) securityKeyRoles(v *values) {
	const name = "SECURITY_KEY_ROLES"
	if v.get(name) == "none" {
		return
	}
	for role := range strings.SplitSeq(v.get(name), ",") {
		role = strings.TrimSpace(role)
		if !slices.Contains(roles, role) {
			v.problem(name, "want a comma list of %s, or none", strings.Join(roles, ", "))
			return
		}
		s.SecurityKeyRoles = append(s.SecurityKeyRoles, role)
	}
}

// securityKeys checks that whoever needs a security key can register and use one.
func (s *Settings) securityKeys(v *values) {
	for i, user := range s.Users {
		if !slices.Contains(s.SecurityKeyRoles, user.Role) {
			continue
		}
		if !slices.ContainsFunc(s.PublicOrigins, named) {
			v.problem("PUBLIC_ORIGIN", "role %s needs a security key (SECURITY_KEY_ROLES), and security "+
				"keys an origin with a name, such as https://ingest.example.com", user.Role)
			return
		}
		if user.TOTPSecret == "" {
			v.problem(fmt.Sprintf("USERS_FILE: user %d", i+1), "totp_secret: is missing; role %s needs a "+
				"security key (SECURITY_KEY_ROLES), and the first one is registered with a code", user.Role)
		}
	}
}

// named reports whether an origin has a name and not an address.
func named(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Hostname() == "" {
		return false
	}
	_, err = netip.ParseAddr(u.Hostname())
	return err != nil
}
