package settings

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/cors"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/qstash"
)

// production checks the settings of a server that real traffic reaches.
func (s *Settings) production(v *values, loopback bool) {
	if v.present["AUDIT_KEY_FILE"] && s.AuditKeyFile == "" {
		v.problem("AUDIT_KEY_FILE", "is empty; name a file, or unset it to keep the key in DATA_DIR")
	}
	s.database(v)
	s.origins(v)
	s.publicOrigin(v)
	s.Sites = loadSites(v, s.AllowedOrigins)
	s.Users = loadUsers(v, s.Sites)
	s.securityKeys(v)
	s.signingKeys(v)
	s.proxies(v)
	s.transport(v, loopback)
	s.queue(v)
	for _, name := range []string{"REDIS_URL", "WORKER_URL", "SENTRY_DSN"} {
		if v.present[name] {
			checkURL(v, name)
		}
	}
}

func (s *Settings) origins(v *values) {
	text := strings.TrimSpace(v.get("ALLOWED_ORIGINS"))
	if text == "" {
		v.problem("ALLOWED_ORIGINS", "is missing or empty; list the browser origins to accept, "+
			"such as https://www.example.com,https://shop.example.com")
		return
	}
	for entry := range strings.SplitSeq(text, ",") {
		s.AllowedOrigins = append(s.AllowedOrigins, strings.TrimSpace(entry))
	}
	if slices.Contains(s.AllowedOrigins, "*") {
		v.problem("ALLOWED_ORIGINS", "* would list every origin; name the origins")
		return
	}
	if err := checkOrigins(s.AllowedOrigins); err != nil {
		v.problem("ALLOWED_ORIGINS", "%v", err)
	}
}

// checkOrigins asks the gate that will hold them.
func checkOrigins(origins []string) error {
	_, err := cors.New(cors.Config{Origins: origins, OwnOrigins: []string{"none"}})
	return err
}

// publicOrigin is apart from the customers' origins: pages on those post events,
// and only pages on this one act for who is signed in.
func (s *Settings) publicOrigin(v *values) {
	if !v.present["PUBLIC_ORIGIN"] {
		return
	}
	origin := v.get("PUBLIC_ORIGIN")
	if err := checkOrigins([]string{origin}); err != nil {
		v.problem("PUBLIC_ORIGIN", "want one origin, such as https://ingest.example.com")
		return
	}
	if slices.Contains(s.AllowedOrigins, origin) {
		v.problem("PUBLIC_ORIGIN", "is also in ALLOWED_ORIGINS; a customer's page must not share "+
			"the origin at which people sign in")
	}
	s.PublicOrigins = []string{origin}
}

func (s *Settings) signingKeys(v *values) {
	if s.CurrentKey == "" {
		v.problem("QSTASH_CURRENT_SIGNING_KEY", "is missing or empty; set the key that signs deliveries")
	} else {
		checkSecret(v, "QSTASH_CURRENT_SIGNING_KEY", s.CurrentKey)
	}
	if v.present["QSTASH_NEXT_SIGNING_KEY"] {
		checkSecret(v, "QSTASH_NEXT_SIGNING_KEY", s.NextKey)
		if s.NextKey == s.CurrentKey {
			v.problem("QSTASH_NEXT_SIGNING_KEY", "is the current key again; unset it when there is no next one")
		}
	}
}

// checkSecret asks the package that will use the secret.
func checkSecret(v *values, name, value string) {
	_, err := hmacsig.NewSecret(hmacsig.SecretConfig{Value: value, AllowShort: true})
	if problem, ok := errors.AsType[*sallyport.ConfigError](err); ok {
		v.problem(name, "%s", problem.Fix)
	}
}

func (s *Settings) proxies(v *values) {
	if !v.present["TRUSTED_PROXIES"] {
		return
	}
	covered := 0.0 // of the IPv4 space
	for entry := range strings.SplitSeq(v.get("TRUSTED_PROXIES"), ",") {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(entry))
		switch {
		case err != nil || prefix.Addr().Is4In6() || prefix != prefix.Masked():
			v.problem("TRUSTED_PROXIES", "want a comma list of CIDRs, such as 10.0.0.0/8")
			return
		case prefix.Bits() < narrowest(prefix):
			v.problem("TRUSTED_PROXIES", "%s is so wide that it would trust nearly everyone's forwarding "+
				"headers; want /8 or longer, for IPv6 /16", prefix)
		case prefix.Addr().Is4():
			covered += 1 / float64(uint64(1)<<prefix.Bits())
		}
		s.TrustedProxies = append(s.TrustedProxies, prefix)
	}
	if covered > 1.0/32 {
		v.problem("TRUSTED_PROXIES", "together they would trust nearly everyone's forwarding headers")
	}
}

// narrowest is the shortest prefix that one operator's proxies may have. The
// largest private networks are 10.0.0.0/8 and fc00::/7.
func narrowest(prefix netip.Prefix) int {
	switch {
	case prefix.Addr().Is4():
		return 8
	case prefix.Addr().IsPrivate():
		return 7
	default:
		return 16
	}
}

func (s *Settings) transport(v *values, loopback bool) {
	switch {
	case (s.TLSCertFile == "") != (s.TLSKeyFile == ""):
		v.problem("TLS_CERT_FILE", "set it together with TLS_KEY_FILE, or neither")
	case s.TLSCertFile != "":
		if err := private(s.TLSKeyFile); err != nil {
			v.problem("TLS_KEY_FILE", "%v", err)
		}
		if _, err := tls.LoadX509KeyPair(s.TLSCertFile, s.TLSKeyFile); err != nil {
			v.problem("TLS_CERT_FILE", "the pair with TLS_KEY_FILE does not load: %v", err)
		}
		if s.WorkerURL == "" {
			v.problem("WORKER_URL", "is missing; with TLS the worker's URL cannot be derived")
		}
	case !loopback && len(s.TrustedProxies) == 0:
		v.problem("LISTEN_ADDR", "beyond loopback it needs TLS_CERT_FILE and TLS_KEY_FILE, or a "+
			"TLS proxy named in TRUSTED_PROXIES")
	}
}

// checkURL never quotes the URL: it may hold a password.
func checkURL(v *values, name string) {
	u, err := url.Parse(v.get(name))
	if err != nil || u.Host == "" {
		v.problem(name, "is not a URL with a host; unset it when there is none")
		return
	}
	schemes := map[string][]string{
		"REDIS_URL": {"redis", "rediss"}, "WORKER_URL": {"http", "https"},
		"SENTRY_DSN": {"http", "https"}, "QSTASH_URL": {"http", "https"},
	}
	if !slices.Contains(schemes[name], u.Scheme) {
		v.problem(name, "want a URL that starts with %s://", strings.Join(schemes[name], ":// or "))
	}
	if name == "WORKER_URL" && (u.User != nil || u.Fragment != "" || !signable(v.get(name))) {
		v.problem(name, "want the URL alone, such as https://ingest.example.com/api/sync/worker")
	}
}

// signable asks the package that will sign for the URL.
func signable(worker string) bool {
	_, err := qstash.NewSigner(qstash.SignerConfig{URL: worker, Secret: hmacsig.Generate()})
	return err == nil
}

// private refuses a file that everybody on the machine can read.
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o007 != 0 {
		return fmt.Errorf("%s holds secrets and everybody may use it; chmod o-rwx", path)
	}
	return nil
}
