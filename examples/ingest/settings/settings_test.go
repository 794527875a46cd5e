package settings_test

import (
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/password"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
)

const (
	site   = `{"id":"0123456789abcdef0123456789abcdef","name":"Shop","origins":["https://shop.example"],"secret":"s3cr3t-s3cr3t-s3cr3t","rate_per_minute":600,"owner":"u1"}`
	key    = "sig_7kQ2mVx9Lr4TzW8bN3cY"
	origin = "https://shop.example"
)

var hash = password.New("correct horse").PHC()

func user() string {
	return `{"id":"u1","email":"a@b.test","password_hash":"` + hash + `","totp_secret":"JBSWY3DPEHPK3PXP","role":"admin","sites":["0123456789abcdef0123456789abcdef"]}`
}

// production returns a complete production environment with changes: a value
// replaces, "-" unsets.
func production(t *testing.T, changes map[string]string) []string {
	t.Helper()
	dir := t.TempDir()
	env := map[string]string{
		"ALLOWED_ORIGINS": origin, "QSTASH_CURRENT_SIGNING_KEY": key,
		"SITES_FILE": "[" + site + "]", "USERS_FILE": "[" + user() + "]",
		"DATA_DIR": dir,
	}
	maps.Copy(env, changes)
	var list []string
	for name, value := range env {
		if value == "-" {
			continue
		}
		if (name == "SITES_FILE" || name == "USERS_FILE") && strings.HasPrefix(value, "[") {
			path := filepath.Join(dir, name)
			require.NoError(t, os.WriteFile(path, []byte(value), 0o600))
			value = path
		}
		list = append(list, name+"="+value)
	}
	return list
}

// problems returns setting -> reasons.
func problems(t *testing.T, err error) map[string]string {
	t.Helper()
	found := map[string]string{}
	var walk func(error)
	walk = func(err error) {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, each := range joined.Unwrap() {
				walk(each)
			}
			return
		}
		var p *settings.Problem
		require.ErrorAs(t, err, &p)
		found[p.Setting] += p.Reason
	}
	if err != nil {
		walk(err)
	}
	return found
}

func TestProductionSettingsLoad(t *testing.T) {
	t.Parallel()
	s, err := settings.Load([]string{"-RATE_PER_MINUTE=7", "--listen-addr", "127.0.0.1:9"},
		production(t, map[string]string{"RATE_PER_MINUTE": "9", "TRUSTED_PROXIES": "10.0.0.0/8, fd00::/8"}))
	require.NoError(t, err)
	require.Nil(t, s.Demo)
	require.Equal(t, 7, s.RatePerMinute, "a flag wins over the environment")
	require.Equal(t, "127.0.0.1:9", s.ListenAddr)
	require.Equal(t, []string{origin}, s.AllowedOrigins)
	require.Len(t, s.TrustedProxies, 2)
	require.Equal(t, "u1", s.Users[0].ID)
}

func TestTheHighestRoleNeedsASecurityKey(t *testing.T) {
	t.Parallel()
	for given, want := range map[string][]string{
		"-": {"superadmin"}, "": {"superadmin"}, "none": nil, "superadmin, admin": {"superadmin", "admin"},
	} {
		s, err := settings.Load(nil, production(t, map[string]string{
			"SECURITY_KEY_ROLES": given, "PUBLIC_ORIGIN": "https://ingest.example",
		}))
		require.NoError(t, err)
		require.Equal(t, want, s.SecurityKeyRoles, given)
	}
}

func TestEverySettingProblemNamesTheSetting(t *testing.T) {
	t.Parallel()
	badSite := func(old, with string) string { return "[" + strings.Replace(site, old, with, 1) + "]" }
	badUser := func(old, with string) string { return "[" + strings.Replace(user(), old, with, 1) + "]" }
	for name, row := range map[string]struct {
		changes map[string]string
		setting string
		reason  string
	}{
		"origins unset":           {map[string]string{"ALLOWED_ORIGINS": "-"}, "ALLOWED_ORIGINS", "missing or empty"},
		"origins empty":           {map[string]string{"ALLOWED_ORIGINS": " "}, "ALLOWED_ORIGINS", "missing or empty"},
		"origins malformed":       {map[string]string{"ALLOWED_ORIGINS": origin + "/path"}, "ALLOWED_ORIGINS", "path"},
		"origins with a gap":      {map[string]string{"ALLOWED_ORIGINS": origin + ",,"}, "ALLOWED_ORIGINS", ""},
		"origins a star":          {map[string]string{"ALLOWED_ORIGINS": "*"}, "ALLOWED_ORIGINS", "every origin"},
		"no sites":                {map[string]string{"SITES_FILE": "-"}, "SITES_FILE", "missing"},
		"sites file absent":       {map[string]string{"SITES_FILE": "/nonexistent/x"}, "SITES_FILE", "cannot be read"},
		"sites not JSON":          {map[string]string{"SITES_FILE": "[x"}, "SITES_FILE", "not a JSON array"},
		"sites unknown member":    {map[string]string{"SITES_FILE": badSite(`"name"`, `"title"`)}, "SITES_FILE", "not a JSON array"},
		"site id short":           {map[string]string{"SITES_FILE": badSite("0123456789abcdef0", "0")}, "SITES_FILE: site 1", "32 lower-case"},
		"site twice":              {map[string]string{"SITES_FILE": "[" + site + "," + site + "]"}, "SITES_FILE: site 2", "twice"},
		"site secret short":       {map[string]string{"SITES_FILE": badSite("s3cr3t-s3cr3t-s3cr3t", "short")}, "SITES_FILE: site 1: secret", "at least 16"},
		"site next secret short":  {map[string]string{"SITES_FILE": badSite(`"owner"`, `"next_secret":"x","owner"`)}, "SITES_FILE: site 1: next_secret", "at least 16"},
		"site rate zero":          {map[string]string{"SITES_FILE": badSite("600", "0")}, "SITES_FILE: site 1", "rate_per_minute"},
		"site origin unlisted":    {map[string]string{"SITES_FILE": badSite(origin, "https://other.example")}, "SITES_FILE: site 1", "ALLOWED_ORIGINS"},
		"site without origins":    {map[string]string{"SITES_FILE": badSite(`["`+origin+`"]`, "[]")}, "SITES_FILE: site 1", "at least one"},
		"site owner unknown":      {map[string]string{"SITES_FILE": badSite("u1", "u2")}, "SITES_FILE: site 1", "owner"},
		"site owner missing":      {map[string]string{"SITES_FILE": badSite(`"u1"`, `""`)}, "SITES_FILE: site 1", "owner"},
		"no users":                {map[string]string{"USERS_FILE": ""}, "USERS_FILE", "missing"},
		"user twice":              {map[string]string{"USERS_FILE": "[" + user() + "," + user() + "]"}, "USERS_FILE: user 2", "twice"},
		"user e-mail":             {map[string]string{"USERS_FILE": badUser("a@b.test", "nobody")}, "USERS_FILE: user 1", "email"},
		"user hash":               {map[string]string{"USERS_FILE": badUser("argon2id", "bcrypt")}, "USERS_FILE: user 1", "password_hash"},
		"user role":               {map[string]string{"USERS_FILE": badUser(`"admin"`, `"root"`)}, "USERS_FILE: user 1", "role"},
		"admin without TOTP":      {map[string]string{"USERS_FILE": badUser("JBSWY3DPEHPK3PXP", "")}, "USERS_FILE: user 1", "second factor"},
		"TOTP not base32":         {map[string]string{"USERS_FILE": badUser("JBSWY3DPEHPK3PXP", "0189")}, "USERS_FILE: user 1", "base32"},
		"user of unknown site":    {map[string]string{"USERS_FILE": badUser(`["0123`, `["f123`)}, "USERS_FILE: user 1", "sites"},
		"no signing key":          {map[string]string{"QSTASH_CURRENT_SIGNING_KEY": "-"}, "QSTASH_CURRENT_SIGNING_KEY", "missing"},
		"short signing key":       {map[string]string{"QSTASH_CURRENT_SIGNING_KEY": "k"}, "QSTASH_CURRENT_SIGNING_KEY", "at least 16"},
		"empty next key":          {map[string]string{"QSTASH_NEXT_SIGNING_KEY": ""}, "QSTASH_NEXT_SIGNING_KEY", "is empty"},
		"half of the database":    {map[string]string{"DATABASE_URL": "postgres://app@localhost/x"}, "SERVICE_DATABASE_URL", "is missing"},
		"the other half":          {map[string]string{"SERVICE_DATABASE_URL": "postgres://app@localhost/x"}, "DATABASE_URL", "is missing"},
		"a database but no login": {map[string]string{"MIGRATE_DATABASE_URL": "postgres://app@localhost/x"}, "DATABASE_URL", "is missing"},
		"an empty database":       {map[string]string{"DATABASE_URL": ""}, "DATABASE_URL", "is missing"},
		"database malformed":      {map[string]string{"DATABASE_URL": "postgres://app:s3cr3t-s3cr3t@localhost:port/x"}, "DATABASE_URL", "want a URL"},
		"database in the clear":   {map[string]string{"DATABASE_URL": "postgres://app:s3cr3t-s3cr3t@db.example/x"}, "DATABASE_URL", "sslmode"},
		"one login for two":       {map[string]string{"DATABASE_URL": "postgres://app@localhost/x", "SERVICE_DATABASE_URL": "postgres://app@localhost/x"}, "SERVICE_DATABASE_URL", "of its own"},
		"months":                  {map[string]string{"EVENTS_KEEP_MONTHS": "-1"}, "EVENTS_KEEP_MONTHS", "whole number"},
		"a database's password":   {map[string]string{"DATABASE_URL": "postgres://app:s3cr3t-s3cr3t@localhost/x", "VITE_DB": "s3cr3t-s3cr3t"}, "DATABASE_URL", "VITE_DB"},
		"a queue of another kind": {map[string]string{"QUEUE": "kafka"}, "QUEUE", "none or qstash"},
		"qstash without a token":  {map[string]string{"QUEUE": "qstash", "WORKER_URL": "https://x.example/w"}, "QSTASH_TOKEN", "is missing"},
		"qstash to nowhere":       {map[string]string{"QUEUE": "qstash", "QSTASH_TOKEN": "s3cr3t-s3cr3t"}, "WORKER_URL", "from outside"},
		"a token for nothing":     {map[string]string{"QSTASH_TOKEN": "s3cr3t-s3cr3t"}, "QSTASH_TOKEN", "QUEUE=qstash"},
		"a token in a page":       {map[string]string{"QUEUE": "qstash", "WORKER_URL": "https://x.example/w", "QSTASH_TOKEN": "s3cr3t-s3cr3t", "VITE_Q": "s3cr3t-s3cr3t"}, "QSTASH_TOKEN", "VITE_Q"},
		"replicas":                {map[string]string{"QUEUE_REPLICAS": "all"}, "QUEUE_REPLICAS", "whole number"},
		"lossy":                   {map[string]string{"DANGEROUSLY_LOSSY_QUEUE": "maybe"}, "DANGEROUSLY_LOSSY_QUEUE", "true or false"},
		"redis not a URL":         {map[string]string{"REDIS_URL": "localhost"}, "REDIS_URL", "URL"},
		"worker of another kind":  {map[string]string{"WORKER_URL": "ftp://x/"}, "WORKER_URL", "http"},
		"proxies malformed":       {map[string]string{"TRUSTED_PROXIES": "10.0.0.1"}, "TRUSTED_PROXIES", "CIDR"},
		"proxies everyone":        {map[string]string{"TRUSTED_PROXIES": "0.0.0.0/0"}, "TRUSTED_PROXIES", "everyone"},
		"proxies by halves":       {map[string]string{"TRUSTED_PROXIES": "0.0.0.0/1,128.0.0.0/1"}, "TRUSTED_PROXIES", "everyone"},
		"proxies by sixteenths":   {map[string]string{"TRUSTED_PROXIES": "10.0.0.0/8,11.0.0.0/8,12.0.0.0/8,13.0.0.0/8,14.0.0.0/8,15.0.0.0/8,16.0.0.0/8,17.0.0.0/8,18.0.0.0/8"}, "TRUSTED_PROXIES", "together"},
		"proxies mapped":          {map[string]string{"TRUSTED_PROXIES": "::ffff:10.0.0.0/8"}, "TRUSTED_PROXIES", "CIDR"},
		"proxies mapped, long":    {map[string]string{"TRUSTED_PROXIES": "::ffff:10.0.0.0/104"}, "TRUSTED_PROXIES", "CIDR"},
		"proxies of all of IPv6":  {map[string]string{"TRUSTED_PROXIES": "2000::/3"}, "TRUSTED_PROXIES", "everyone"},
		"one key twice":           {map[string]string{"QSTASH_NEXT_SIGNING_KEY": key}, "QSTASH_NEXT_SIGNING_KEY", "again"},
		"worker with a fragment":  {map[string]string{"WORKER_URL": "https://x.example/w#f"}, "WORKER_URL", "alone"},
		"a placeholder for a key": {map[string]string{"QSTASH_CURRENT_SIGNING_KEY": "changeme-changeme"}, "QSTASH_CURRENT_SIGNING_KEY", "placeholder"},
		"unknown member":          {map[string]string{"SITES_FILE": "[\n" + strings.Replace(site, `"name"`, `"nmae"`, 1) + "]"}, "SITES_FILE", "SITES_FILE:2: /0/nmae is not a documented member"},
		"member twice":            {map[string]string{"USERS_FILE": "[" + strings.Replace(user(), `"role"`, "\n\n"+`"id":"u2","role"`, 1) + "]"}, "USERS_FILE", "USERS_FILE:3: /0/id is there twice"},
		"member of another type":  {map[string]string{"SITES_FILE": badSite("600", "\n\"s3cr3t-s3cr3t\"")}, "SITES_FILE", "SITES_FILE:2: /0/rate_per_minute has the wrong type"},
		"not JSON at all":         {map[string]string{"SITES_FILE": "[\n\nx]"}, "SITES_FILE", "SITES_FILE:3: "},
		"half of TLS":             {map[string]string{"TLS_CERT_FILE": "x"}, "TLS_CERT_FILE", "together"},
		"TLS files absent":        {map[string]string{"TLS_CERT_FILE": "/x", "TLS_KEY_FILE": "/y"}, "TLS_CERT_FILE", "does not load"},
		"plain beyond loopback":   {map[string]string{"LISTEN_ADDR": ":8080"}, "LISTEN_ADDR", "TLS"},
		"address malformed":       {map[string]string{"LISTEN_ADDR": "8080"}, "LISTEN_ADDR", "host:port"},
		"rate":                    {map[string]string{"RATE_PER_MINUTE": "many"}, "RATE_PER_MINUTE", "whole number"},
		"fail mode":               {map[string]string{"FAIL_MODE": "maybe"}, "FAIL_MODE", "closed, local or open"},
		"report only":             {map[string]string{"CORS_REPORT_ONLY": "maybe"}, "CORS_REPORT_ONLY", "true or false"},
		"secret in a page":        {map[string]string{"NEXT_PUBLIC_KEY": "x" + key}, "QSTASH_CURRENT_SIGNING_KEY", "NEXT_PUBLIC_KEY"},
		"site secret in a page":   {map[string]string{"VITE_S": "s3cr3t-s3cr3t-s3cr3t"}, "SITES_FILE: site 1", "VITE_S"},
		"a sample for a secret":   {map[string]string{"SITES_FILE": badSite("s3cr3t-s3cr3t-s3cr3t", "0123456789abcdef0123")}, "SITES_FILE: site 1: secret", "placeholder"},
		"site rate too high":      {map[string]string{"SITES_FILE": badSite("600", "4611686018427387904")}, "SITES_FILE: site 1", "rate_per_minute"},
		"public origin is a page": {map[string]string{"PUBLIC_ORIGIN": origin}, "PUBLIC_ORIGIN", "ALLOWED_ORIGINS"},
		"public origin malformed": {map[string]string{"PUBLIC_ORIGIN": "ingest.example"}, "PUBLIC_ORIGIN", "want one origin"},
		"keys lost tomorrow":      {map[string]string{"USERS_FILE": badUser(`"role"`, `"security_keys_after":"2999-01-01T00:00:00Z","role"`)}, "USERS_FILE: user 1", "yet to come"},
		"security key roles":      {map[string]string{"SECURITY_KEY_ROLES": "root"}, "SECURITY_KEY_ROLES", "or none"},
		"no name for a key":       {map[string]string{"SECURITY_KEY_ROLES": "manager, admin"}, "PUBLIC_ORIGIN", "security key"},
		"an address for a key":    {map[string]string{"SECURITY_KEY_ROLES": "admin", "PUBLIC_ORIGIN": "https://192.0.2.7"}, "PUBLIC_ORIGIN", "with a name"},
		"superadmin without name": {map[string]string{"USERS_FILE": badUser(`"admin"`, `"superadmin"`)}, "PUBLIC_ORIGIN", "superadmin"},
		"a key without a code": {map[string]string{
			"USERS_FILE": badUser(`"totp_secret":"JBSWY3DPEHPK3PXP","role":"admin"`, `"role":"manager"`), "SECURITY_KEY_ROLES": "manager",
			"PUBLIC_ORIGIN": "https://ingest.example",
		}, "USERS_FILE: user 1", "with a code"},
		"audit key": {map[string]string{"AUDIT_KEY_FILE": ""}, "AUDIT_KEY_FILE", "name a file"},
		"first of two namesakes in a page": {map[string]string{
			"SITES_FILE":    "[" + site + "," + strings.NewReplacer("0123456789abcdef0", "1123456789abcdef0", "s3cr3t-s3cr3t-s3cr3t", "0ther-s3cr3t-0ther").Replace(site) + "]",
			"EXPO_PUBLIC_S": "s3cr3t-s3cr3t-s3cr3t",
		}, "SITES_FILE: site 1", "EXPO_PUBLIC_S"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := settings.Load(nil, production(t, row.changes))
			require.Nil(t, s)
			found := problems(t, err)
			require.Contains(t, found, row.setting)
			require.Contains(t, found[row.setting], row.reason)
			require.NotContains(t, err.Error(), "s3cr3t-s3cr3t")
			require.NotContains(t, err.Error(), key)
		})
	}
}

func TestOneProductionSettingMakesAllOfThemDue(t *testing.T) {
	t.Parallel()
	for name, env := range map[string][]string{
		"a production setting": {"REDIS_URL=redis://127.0.0.1:6379"},
		"an empty one":         {"ALLOWED_ORIGINS="},
		"beyond loopback":      {"LISTEN_ADDR=0.0.0.0:8080"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := settings.Load(nil, env)
			found := problems(t, err)
			for _, setting := range []string{"ALLOWED_ORIGINS", "SITES_FILE", "USERS_FILE", "QSTASH_CURRENT_SIGNING_KEY"} {
				require.Contains(t, found, setting)
			}
		})
	}
}

// demo is a demo mode's settings, completed.
func demo(dir string) (*settings.Settings, error) {
	s, err := settings.Load(nil, []string{"DATA_DIR=" + dir})
	if err != nil {
		return nil, err
	}
	return s, s.Complete(settings.Bound{API: "127.0.0.1:8", Page: "127.0.0.1:9"})
}

// What is generated is kept only once the server has its addresses.
func TestLoadWritesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s, err := settings.Load(nil, []string{"DATA_DIR=" + dir})
	require.NoError(t, err)
	require.NotNil(t, s.Demo)
	require.NoDirExists(t, dir)
}

func TestDemoIsGeneratedOnceAndKept(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	first, err := demo(dir)
	require.NoError(t, err)
	require.NotEmpty(t, first.Demo.Password)
	parsed, err := password.Parse(first.Demo.User.PasswordHash)
	require.NoError(t, err)
	require.True(t, parsed.Matches(first.Demo.Password))

	info, err := os.Stat(first.Demo.File)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	kept, err := os.ReadFile(first.Demo.File)
	require.NoError(t, err)
	require.NotContains(t, string(kept), first.Demo.Password)
	require.Equal(t, []string{"http://127.0.0.1:9"}, first.AllowedOrigins)
	require.Equal(t, []string{"http://127.0.0.1:8", "http://localhost:8"}, first.PublicOrigins)
	require.Equal(t, "http://127.0.0.1:8/api/sync/worker", first.WorkerURL)

	second, err := demo(dir)
	require.NoError(t, err)
	require.Empty(t, second.Demo.Password, "a password is printed once")
	require.Equal(t, first.Demo.Site.ID, second.Demo.Site.ID)
	require.Equal(t, first.Demo.Site.Secret, second.Demo.Site.Secret)

	require.NoError(t, os.WriteFile(first.Demo.File, []byte("{"), 0o600))
	_, err = demo(dir)
	require.Contains(t, problems(t, err)["DATA_DIR"], "damaged")
}

func TestHelpAndUnknownFlags(t *testing.T) {
	t.Parallel()
	_, err := settings.Load([]string{"-h"}, nil)
	require.ErrorIs(t, err, flag.ErrHelp)
	_, err = settings.Load([]string{"-no-such-setting"}, nil)
	require.Error(t, err)
	require.False(t, errors.Is(err, flag.ErrHelp))
	_, err = settings.Load([]string{"serve"}, nil)
	require.Contains(t, problems(t, err), "arguments")
}

// Whoever can read a file of secrets has them.
func TestFilesThatEverybodyCanReadAreRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"SITES_FILE", "USERS_FILE"} {
		for mode, allowed := range map[os.FileMode]bool{0o600: true, 0o640: true, 0o644: false, 0o602: false} {
			env := production(t, nil)
			for _, entry := range env {
				if path, ok := strings.CutPrefix(entry, name+"="); ok {
					require.NoError(t, os.Chmod(path, mode))
				}
			}
			_, err := settings.Load(nil, env)
			require.Equal(t, allowed, err == nil, "%s %o: %v", name, mode, err)
		}
	}
}

// Where events wait follows from where they are kept, unless it is said.
func TestTheUsualQueue(t *testing.T) {
	t.Parallel()
	database := map[string]string{
		"DATABASE_URL": "postgres://app@localhost/x", "SERVICE_DATABASE_URL": "postgres://service@localhost/x",
	}
	for name, row := range map[string]struct {
		database, redis bool
		queue, want     string
	}{
		"embedded":            {want: settings.QueueEmbedded},
		"embedded with Redis": {redis: true, want: settings.QueueEmbedded},
		"Postgres":            {database: true, want: settings.QueueNone},
		"both":                {database: true, redis: true, want: settings.QueueRedis},
		"both, but no queue":  {database: true, redis: true, queue: "none", want: settings.QueueNone},
		"embedded, no queue":  {queue: "none", want: settings.QueueNone},
	} {
		env := map[string]string{"QUEUE": row.queue}
		if row.database {
			maps.Copy(env, database)
		}
		if row.redis {
			env["REDIS_URL"] = "redis://localhost:6379"
		}
		s, err := settings.Load(nil, production(t, env))
		require.NoError(t, err, name)
		require.Equal(t, row.want, s.Queue.Kind, name)
	}
}
