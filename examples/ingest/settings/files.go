package settings

import (
	"bytes"
	"encoding/base32"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/opsmantik/sallyport/examples/ingest/password"
)

// maxFile bounds SITES_FILE and USERS_FILE, in bytes.
const maxFile = 16 << 20

// Site is one tenant.
type Site struct {
	ID            string   `json:"id"` // 32 lower-case hex digits
	Name          string   `json:"name"`
	Origins       []string `json:"origins"`
	Secret        string   `json:"secret"`
	NextSecret    string   `json:"next_secret,omitzero"`
	RatePerMinute int      `json:"rate_per_minute"`
	Owner         string   `json:"owner"`
	// Networks are where people and API keys may act on the site from; empty for
	// anywhere. Events come from anywhere.
	Networks []netip.Prefix `json:"networks,omitzero"`
}

// User is someone who may sign in.
type User struct {
	ID           string   `json:"id"`
	Email        string   `json:"email"`
	PasswordHash string   `json:"password_hash"`
	TOTPSecret   string   `json:"totp_secret,omitzero"`
	Role         string   `json:"role"`
	Sites        []string `json:"sites"`

	// SecurityKeysAfter is when the user has told of losing their security keys.
	// Those that were registered before no longer count.
	SecurityKeysAfter time.Time `json:"security_keys_after,omitzero"`

	// Networks are where the user, and the user's API keys, may act from; empty for
	// anywhere.
	Networks []netip.Prefix `json:"networks,omitzero"`
}

// Roles that the policy knows. The first two must have a second factor.
var roles = []string{"superadmin", "admin", "manager", "rep"}

var siteID = regexp.MustCompile(`^[0-9a-f]{32}$`)

func loadSites(v *values, allowed []string) []Site {
	var sites []Site
	if !loadFile(v, "SITES_FILE", &sites) {
		return nil
	}
	seen := map[string]bool{}
	for i, site := range sites {
		name := fmt.Sprintf("SITES_FILE: site %d", i+1)
		if !siteID.MatchString(site.ID) {
			v.problem(name, "id: want 32 lower-case hex digits")
		} else if seen[site.ID] {
			v.problem(name, "id: used twice")
		}
		seen[site.ID] = true
		checkSecret(v, name+": secret", site.Secret)
		if site.NextSecret != "" {
			checkSecret(v, name+": next_secret", site.NextSecret)
		}
		if site.RatePerMinute < 1 || site.RatePerMinute > maxRate {
			v.problem(name, "rate_per_minute: want 1 to %d", maxRate)
		}
		checkNetworks(v, name, site.Networks)
		if len(site.Origins) == 0 {
			v.problem(name, "origins: want at least one of ALLOWED_ORIGINS")
		}
		for _, origin := range site.Origins {
			if !slices.Contains(allowed, origin) {
				v.problem(name, "origins: %q is not one of ALLOWED_ORIGINS", origin)
			}
		}
	}
	return sites
}

func loadUsers(v *values, sites []Site) []User {
	var users []User
	if !loadFile(v, "USERS_FILE", &users) {
		return nil
	}
	ids, emails := map[string]bool{}, map[string]bool{}
	for i, user := range users {
		name := fmt.Sprintf("USERS_FILE: user %d", i+1)
		email := strings.ToLower(user.Email)
		if user.ID == "" || ids[user.ID] {
			v.problem(name, "id: is missing or used twice")
		}
		if !strings.Contains(email, "@") || emails[email] {
			v.problem(name, "email: is malformed or used twice")
		}
		ids[user.ID], emails[email] = true, true
		if _, err := password.Parse(user.PasswordHash); err != nil {
			v.problem(name, "password_hash: %v", err)
		}
		checkFactor(v, name, user)
		if user.SecurityKeysAfter.After(time.Now()) {
			v.problem(name, "security_keys_after: is yet to come; want the time of the loss, or now")
		}

		checkNetworks(v, name, user.Networks)
		for _, id := range user.Sites {
			if !slices.ContainsFunc(sites, func(s Site) bool { return s.ID == id }) {
				v.problem(name, "sites: names a site that SITES_FILE does not have")
			}
		}
	}
	for i, site := range sites {
		if !ids[site.Owner] {
			v.problem(fmt.Sprintf("SITES_FILE: site %d", i+1), "owner: want the id of a user in USERS_FILE")
		}
	}
	return users
}

// checkNetworks wants what the lists of package tenancy take.
func checkNetworks(v *values, name string, networks []netip.Prefix) {
	for _, network := range networks {
		if !network.IsValid() || network != network.Masked() || network.Addr().Is4In6() {
			v.problem(name, "networks: want CIDRs without bits beyond the prefix, such as 192.0.2.0/24")
			return
		}
	}
}

func checkFactor(v *values, name string, user User) {
	role := slices.Index(roles, user.Role)
	if role < 0 {
		v.problem(name, "role: want one of %s", strings.Join(roles, ", "))
	}
	if user.TOTPSecret == "" {
		if role == 0 || role == 1 {
			v.problem(name, "totp_secret: is missing; role %s needs a second factor", user.Role)
		}
		return
	}
	unpadded := strings.TrimRight(user.TOTPSecret, "=")
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(unpadded)
	if err != nil || len(secret) < 10 {
		v.problem(name, "totp_secret: want at least 10 bytes in upper-case base32")
	}
}

// loadFile decodes strictly: an unknown or repeated member is a mistake worth
// stopping for.
func loadFile(v *values, name string, into any) bool {
	path := v.get(name)
	if path == "" {
		v.problem(name, "is missing or empty; name a JSON file, see the README")
		return false
	}
	data, err := readSmall(path)
	if err != nil {
		v.problem(name, "cannot be read: %v", err)
		return false
	}
	if err := private(path); err != nil {
		v.problem(name, "%v", err)
		return false
	}
	if err := json.Unmarshal(data, into, json.RejectUnknownMembers(true)); err != nil {
		v.problem(name, "%s", whatIsWrong(path, data, err))
		return false
	}
	return true
}

func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, errors.New("want a regular file of at most 16 MiB")
	}
	return os.ReadFile(path) // #nosec G304 -- the operator names the file
}

// whatIsWrong says where a file breaks its format. The decoder's own text may
// quote a secret from the file, so it goes no further than here.
func whatIsWrong(path string, data []byte, err error) string {
	offset, pointer, reason := int64(len(data)), jsontext.Pointer(""), "is not JSON"
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		offset, pointer = syntactic.ByteOffset, syntactic.JSONPointer
		if errors.Is(err, jsontext.ErrDuplicateName) {
			reason = "is there twice"
		}
	} else if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		offset, pointer, reason = semantic.ByteOffset, semantic.JSONPointer, "has the wrong type"
		if errors.Is(err, json.ErrUnknownName) {
			reason = "is not a documented member"
		}
	}
	line := 1 + bytes.Count(data[:min(max(offset, 0), int64(len(data)))], []byte("\n"))
	if pointer != "" {
		reason = string(pointer) + " " + reason
	}
	return fmt.Sprintf("is not a JSON array of the documented members: %s:%d: %s", path, line, reason)
}
