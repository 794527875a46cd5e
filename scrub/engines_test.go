package scrub_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"testing/slogtest"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/scrub"
)

// engines are the ways in which a name and its value can pass a Scrubber. Each
// renders the pair in its own form and returns what came out.
var engines = []struct {
	name string
	pass func(t *testing.T, s *scrub.Scrubber, key, value string) string
}{
	{"text, JSON", func(_ *testing.T, s *scrub.Scrubber, key, value string) string {
		out, _ := s.String(fmt.Sprintf(`{%q:%q,"n":1}`, key, value))
		return out
	}},
	{"text, JSON in JSON", func(_ *testing.T, s *scrub.Scrubber, key, value string) string {
		out, _ := s.String(fmt.Sprintf("{\"b\":%q}", fmt.Sprintf(`{%q:%q}`, key, value)))
		return out
	}},
	{"text, quoted", func(_ *testing.T, s *scrub.Scrubber, key, value string) string {
		out, _ := s.String(fmt.Sprintf("at start %s=%q n=1", key, value))
		return out
	}},
	{"text, Go", func(_ *testing.T, s *scrub.Scrubber, key, value string) string {
		out, _ := s.String(fmt.Sprintf("main.T{%s:%q, N:1}", key, value))
		return out
	}},
	{"text, pair", func(_ *testing.T, s *scrub.Scrubber, key, value string) string {
		out, _ := s.String(fmt.Sprintf("x [%q, %q]", key, value))
		return out
	}},
	{"text, name and value", func(_ *testing.T, s *scrub.Scrubber, key, value string) string {
		out, _ := s.String(fmt.Sprintf(`x {"name":%q,"value":%q}`, key, value))
		return out
	}},
	{"text, object", func(_ *testing.T, s *scrub.Scrubber, key, value string) string {
		out, _ := s.String(fmt.Sprintf(`x {%q:{"of":%q}} y`, key, value))
		return out
	}},
	{"JSON", jsonEngine(`{%q:%q,"n":1}`)},
	{"JSON, escaped name", func(t *testing.T, s *scrub.Scrubber, key, value string) string {
		in := fmt.Sprintf(`{"\u%04x%s":%q}`, key[0], key[1:], value)
		text, _ := s.String("x " + in)
		out, _ := s.AppendJSON(nil, []byte(in))
		require.Equal(t, strings.Contains(text, value), strings.Contains(string(out), value), "text and JSON")
		return string(out)
	}},
	{"JSON, pair", jsonEngine(`[%q,%q]`)},
	{"JSON, name and value", jsonEngine(`{"name":%q,"value":%q}`)},
	{"JSON, object", jsonEngine(`{%q:{"of":%q}}`)},
	{"JSON, value and name", func(t *testing.T, s *scrub.Scrubber, key, value string) string {
		return jsonEngine(`{"value":%q,"name":%q}`)(t, s, value, key)
	}},
	{"value, map", valueEngine(func(key, value string) any { return map[string]string{key: value} })},
	{"value, pair", valueEngine(func(key, value string) any { return []string{key, value} })},
	{"value, pair of any", valueEngine(func(key, value string) any { return [2]any{key, value} })},
	{"value, name and value", valueEngine(func(key, value string) any {
		return map[string]any{"name": key, "value": value}
	})},
	{"value, object", valueEngine(func(key, value string) any {
		return map[string]any{key: map[string]any{"of": value}}
	})},
	{"slog, attribute", slogEngine(func(l *slog.Logger, key, value string) { l.Info("x", key, value) })},
	{"slog, With", slogEngine(func(l *slog.Logger, key, value string) { l.With(key, value).Info("x") })},
	{"slog, Group", slogEngine(func(l *slog.Logger, key, value string) {
		l.Info("x", slog.Group(key, "of", value))
	})},
	{"slog, WithGroup", slogEngine(func(l *slog.Logger, key, value string) {
		l.WithGroup(key).Info("x", "of", value)
	})},
	{"slog, WithGroup and With", slogEngine(func(l *slog.Logger, key, value string) {
		l.WithGroup(key).With("of", value).WithGroup("g").Info("x", "too", value)
	})},
	{"header", func(_ *testing.T, s *scrub.Scrubber, key, value string) string {
		out, _ := s.Header(map[string][]string{key: {value}})
		return fmt.Sprint(out)
	}},
	{"query", func(_ *testing.T, s *scrub.Scrubber, key, value string) string {
		out, _ := s.Query("a=1&" + url.QueryEscape(key) + "=" + url.QueryEscape(value))
		out, _ = url.QueryUnescape(out)
		return out
	}},
}

func jsonEngine(form string) func(*testing.T, *scrub.Scrubber, string, string) string {
	return func(t *testing.T, s *scrub.Scrubber, key, value string) string {
		in := fmt.Sprintf(form, key, value)
		require.True(t, json.Valid([]byte(in)))
		out, _ := s.AppendJSON(nil, []byte(in))
		require.True(t, json.Valid(out), "%s became %s", in, out)
		return string(out)
	}
}

func valueEngine(of func(key, value string) any) func(*testing.T, *scrub.Scrubber, string, string) string {
	return func(t *testing.T, s *scrub.Scrubber, key, value string) string {
		out, _, err := s.Value(of(key, value))
		require.NoError(t, err)
		return fmt.Sprint(out)
	}
}

func slogEngine(log func(l *slog.Logger, key, value string)) func(*testing.T, *scrub.Scrubber, string, string) string {
	return func(_ *testing.T, s *scrub.Scrubber, key, value string) string {
		var b bytes.Buffer
		log(slog.New(s.Handler(slog.NewJSONHandler(&b, nil))), key, value)
		return b.String()
	}
}

// names are denied or not whatever they hold, and so by every engine.
var names = []struct {
	name   string
	denied bool
}{
	// Go's initialisms, camel, snake, kebab, dots, glued.
	{"JWTSecret", true},
	{"OIDCToken", true},
	{"AESKey", true},
	{"OTPCode", true},
	{"UserAPIKeys", true},
	{"DB_PASSWORD", true},
	{"db.password", true},
	{"x-api-key", true},
	{"newPassword", true},
	{"password_hash", true},
	{"passwordHASH", true},
	{"PGPASSWORD", true},
	{"accesstoken", true},
	{"token2", true},
	{"base64Password", true},
	// sentry-python's deny list.
	{"password", true},
	{"passwd", true},
	{"secret", true},
	{"api_key", true},
	{"apikey", true},
	{"auth", true},
	{"credentials", true},
	{"mysql_pwd", true},
	{"privatekey", true},
	{"private_key", true},
	{"token", true},
	{"session", true},
	{"csrftoken", true},
	{"sessionid", true},
	{"x_csrftoken", true},
	{"set_cookie", true},
	{"cookie", true},
	{"authorization", true},
	{"proxy-authorization", true},
	{"x_api_key", true},
	{"aiohttp_session", true},
	{"connect.sid", true},
	{"csrf_token", true},
	{"csrf", true},
	{"_csrf", true},
	{"_csrf_token", true},
	{"PHPSESSID", true},
	{"_session", true},
	{"symfony", true},
	{"user_session", true},
	{"_xsrf", true},
	{"XSRF-TOKEN", true},
	// Rails' filter_parameters.
	{"passw", true},
	{"signing_key", true},
	{"crypt", true},
	{"salt", true},
	{"certificate", true},
	{"otp", true},
	{"ssn", true},
	{"cvv", true},
	{"cvc", true},
	// And more.
	{"dsn", true},
	{"birth_date", true},
	{"date_of_birth", true},
	{"stripe_key", true},
	{"contraseña", true},
	// Not denied.
	{"monkey", false},
	{"public_key", false},
	{"primary_key", false},
	{"has_password", false},
	{"password_length", false},
	{"token_type", false},
	{"tokenizer", false},
	{"author", false},
	{"passed", false},
	{"compass", false},
	{"Tokens_per_second", false},
	{"cookie_count", false},
	{"keyboard", false},
	{"secretary", false},
}

// secretValue is opaque enough for every rule, and for the rules of headers and
// cookies.
const secretValue = "Zx81kQp0Lm27=Rt55Yw90"

func TestEnginesAgree(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{})
	for _, n := range names {
		for _, e := range engines {
			t.Run(n.name+"/"+e.name, func(t *testing.T) {
				t.Parallel()
				out := e.pass(t, s, n.name, secretValue)
				require.Equal(t, n.denied, !strings.Contains(out, "Zx81kQp0"), "got %s", out)
			})
		}
	}
}

// TestEnginesAgreeOnValues holds values that stay below a denied name.
func TestEnginesAgreeOnValues(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{})
	for _, tt := range []struct {
		key, value string
		stays      bool
	}{
		{"password", "hunter2", false},
		{"password", "null", true},
		{"password", "***", true},
		{"password", "[FILTERED]", true},
		{"password", "${DB_PASSWORD}", true},
		{"token", "17", true},
		{"token", "abcdef", false},
		{"session", "0x14ede63a5a7003a", true},
		{"session", "30546354_3173223679", true},
		{"session", "expired", true},
		{"auth", "publickey", true},
		{"private_key", "/etc/ssl/private/key.pem", true},
		{"stripe_key", "https://docs.example/keys", true},
		{"full_name", "octocat/hello-world", true},
		{"full_name", "Ann Lee", false},
	} {
		for _, e := range engines {
			if strings.Contains(e.name, "object") || strings.Contains(e.name, "Group") {
				continue // what stands below a denied name goes whole
			}
			t.Run(tt.key+"="+tt.value+"/"+e.name, func(t *testing.T) {
				t.Parallel()
				out := e.pass(t, s, tt.key, tt.value)
				require.Equal(t, tt.stays, strings.Contains(out, tt.value), "got %s", out)
			})
		}
	}
}

func TestSlogtest(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{})
	var b bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		b.Reset()
		return s.Handler(slog.NewJSONHandler(&b, nil))
	}, func(t *testing.T) map[string]any {
		var m map[string]any
		require.NoError(t, json.Unmarshal(b.Bytes(), &m))
		return m
	})
}

// TestHarmlessObjects: an object below a name that is often harmless keeps what
// looks like no credential.
func TestHarmlessObjects(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{})
	const in = `{"session":{"user":17,"state":"open","id":"Zx81kQp0Lm27Rt55"},"auth":{"method":"password","ok":true}}`
	const want = `{"session":{"user":17,"state":"open","id":"[token]"},"auth":{"method":"password","ok":true}}`
	out, _ := s.AppendJSON(nil, []byte(in))
	require.JSONEq(t, want, string(out))
	var plain any
	require.NoError(t, json.Unmarshal([]byte(in), &plain))
	clean, _, err := s.Value(plain)
	require.NoError(t, err)
	got, err := json.Marshal(clean)
	require.NoError(t, err)
	require.JSONEq(t, want, string(got))
	text, _ := s.String(in)
	require.JSONEq(t, `{"session":"[token]","auth":{"method":"password","ok":true}}`, text, "text takes it whole")
	out, _ = s.AppendJSON(nil, []byte(`{"session":{"password":"x","list":["Zx81kQp0Lm27Rt55"]}}`))
	require.JSONEq(t, `{"session":{"password":"[secret]","list":["[token]"]}}`, string(out))
}
