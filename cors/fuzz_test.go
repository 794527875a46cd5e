package cors_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/opsmantik/sallyport/cors"
	"github.com/stretchr/testify/require"
)

// FuzzOrigin compares with net/url: what the gate accepts as an origin is, to
// another parser, that origin and nothing else; and a pattern admits only what
// that parser, too, places below it.
func FuzzOrigin(f *testing.F) {
	for _, row := range rows(f) {
		for _, origin := range values(row.origin) {
			f.Add(origin)
		}
	}
	anyOrigin := newGate(f, cors.Config{Origins: []string{"*"}})
	pattern := newGate(f, configs()["pattern"])
	f.Fuzz(func(t *testing.T, s string) {
		r := newRequest("POST")
		r.Header["Origin"] = []string{s}
		if s == "null" || !check(anyOrigin, r).Allowed {
			require.False(t, check(pattern, r).Allowed, "%q is no origin, but matches", s)
			return
		}
		u, err := url.Parse(s)
		require.NoError(t, err)
		require.Equal(t, s, u.Scheme+"://"+u.Host)
		require.Equal(t, url.URL{Scheme: u.Scheme, Host: u.Host}, *u)
		require.Equal(t, strings.ToLower(s), s)
		require.LessOrEqual(t, len(s), 330)
		if check(pattern, r).Code != cors.CodeOriginListed {
			return
		}
		require.Equal(t, "https", u.Scheme)
		require.True(t, strings.HasSuffix(u.Hostname(), ".example.com"), u.Hostname())
		require.Contains(t, []string{"", "8443"}, u.Port())
	})
}

// FuzzConfig: an entry that New accepts admits the very origin it names, or,
// for a pattern, one below it; and no entry makes New panic.
func FuzzConfig(f *testing.F) {
	for _, row := range rows(f) {
		for _, origin := range values(row.origin) {
			f.Add(origin)
		}
	}
	f.Add("https://*.example.com:8443")
	f.Add("https://*.")
	f.Add("http://*.localhost:*")
	f.Add("http://localhost.:*")
	f.Add("app://.")
	f.Fuzz(func(t *testing.T, entry string) {
		gate, err := cors.New(cors.Config{
			Origins: []string{entry}, OwnOrigins: none, PublicSuffix: lastLabel,
			DangerouslyAllowInsecureOrigins: true,
		})
		if err != nil {
			require.Len(t, problemsOf(t, err), 1)
			return
		}
		r := newRequest("POST")
		r.Header["Origin"] = []string{sample(entry)}
		if entry == "*" {
			r.Header["Origin"] = []string{app}
		}
		require.True(t, check(gate, r).Allowed)
	})
}

// sample is an origin that an entry stands for.
func sample(entry string) string {
	entry, _ = strings.CutSuffix(entry, ":*")
	return strings.Replace(entry, "*", "x", 1)
}

// FuzzPreflight: whatever is asked for, only listed names get through.
func FuzzPreflight(f *testing.F) {
	f.Add("PUT", "x-a,x-b", "x-a")
	f.Add("POST", " x-a ,, x-b\t", "")
	f.Add("put", "X-A", "x-c")
	f.Add("POST", "", "\n")
	gate := newGate(f, cors.Config{
		Origins: []string{app}, Methods: []string{"PUT"}, RequestHeaders: []string{"X-A", "X-B"},
	})
	f.Fuzz(func(t *testing.T, method, first, second string) {
		r := newPreflight(app, first)
		r.Header["Access-Control-Request-Method"] = []string{method}
		r.Header["Access-Control-Request-Headers"] = []string{first, second}
		if !check(gate, r).Allowed {
			return
		}
		require.Contains(t, []string{"GET", "HEAD", "POST", "PUT"}, method)
		for name := range strings.SplitSeq(first+","+second, ",") {
			// net/http lets no line end in; the gate would take it for space.
			require.Contains(t, []string{"", "x-a", "x-b"}, strings.Trim(name, " \t\r\n"))
		}
	})
}
