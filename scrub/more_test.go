package scrub_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/scrub"
)

func TestSpans(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{})
	for _, tt := range []struct{ text, removed, rule string }{
		{"mail ann@example.com now", "ann@example.com", "email"},
		{"card 4929 7181 2345 6789", "4929 7181 2345 6789", "card"},
		{"db_password=hunter2x", "hunter2x", "secret.password"},
		{"Cookie: a=b; c=d", "a=b; c=d", "token.cookie"},
		{"got Bearer abcdef123456789", "abcdef123456789", "token.authorization_scheme"},
		{"postgres://app:hunter2@db/x", "app:hunter2", "token.url_password"},
		{"app:hunter2@tcp(db:3306)/x", "app:hunter2", "token.mysql_password"},
		{"curl -u app:hunter2 https://x.test", "app:hunter2", "token.curl_user"},
		{"from 192.0.2.7", "192.0.2.7", "ip.v4"},
		{"from 2001:db8::1", "2001:db8::1", "ip.v6"},
		{"call +49 30 123456", "+49 30 123456", "phone.international"},
		{"ring 020 7946 0958", "020 7946 0958", "phone.national"},
		{"phone 5551234567", "5551234567", "phone.labelled"},
		{"x gh" + "p_" + strings.Repeat("Ab3", 200) + " y", "gh" + "p_" + strings.Repeat("Ab3", 200), "token.ghp_"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			spans := s.Spans(tt.text)
			require.Len(t, spans, 1)
			require.Equal(t, tt.removed, tt.text[spans[0].Offset:spans[0].Offset+spans[0].Length])
			require.Equal(t, tt.rule, spans[0].Rule)
			// The rule's name switches it off.
			without := newScrubber(t, scrub.Config{AllowRules: []string{tt.rule}})
			for _, sp := range without.Spans(tt.text) {
				require.NotEqual(t, tt.rule, sp.Rule)
			}
		})
	}
	require.Empty(t, s.Spans("nothing here"))
	require.Nil(t, (*scrub.Scrubber)(nil).Spans("x"))
}

func TestExceptions(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{
		Allow:      []string{"10.0.0.0/8", "2001:db8::/32", "@Example.com"},
		AllowKeys:  []string{"session", "push-token"},
		AllowRules: []string{"token.jwt"},
	})
	for _, tt := range []struct{ name, in, want string }{
		{"network", "from 10.1.2.3 to 11.1.2.3", "from 10.1.2.3 to [ip]"},
		{"network, IPv6", "from 2001:db8::1 to 2001:db9::1", "from 2001:db8::1 to [ip]"},
		{"domain", "ann@example.com ann@mail.EXAMPLE.com ann@notexample.com", "ann@example.com ann@mail.EXAMPLE.com [email]"},
		{"name", "session=Zx81kQp0Lm27Rt55 user_session=Zx81kQp0Lm27Rt55", "session=Zx81kQp0Lm27Rt55 user_session=[token]"},
		{"name of two words", "pushToken=Zx81kQp0Lm token=Zx81kQp0Lm", "pushToken=Zx81kQp0Lm token=[secret]"},
		{"rule", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"},
		{"not a card", "card 4929718123456789", "card [card]"},
		{"not below a name", "password=ann@example.com", "password=[secret]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out, _ := s.String(tt.in)
			require.Equal(t, tt.want, out)
			asJSON, err := json.Marshal(map[string]string{"m": tt.in})
			require.NoError(t, err)
			clean, _ := s.AppendJSON(nil, asJSON)
			require.JSONEq(t, fmt.Sprintf(`{"m":%q}`, tt.want), string(clean))
		})
	}
	_, err := scrub.New(scrub.Config{
		Allow: []string{"10.0.0.0/33", "@", ""}, AllowKeys: []string{"--"}, AllowRules: []string{"nothing"}, Preset: "all",
	})
	require.Len(t, strings.Split(err.Error(), "\n"), 6)
}

// TestAllowedEmailKeepsWhatIsInIt: an exception for a domain must not take back
// what another rule found in front of it.
func TestAllowedEmailKeepsWhatIsInIt(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{Allow: []string{"@example.com"}})
	out, _ := s.String("4929718123456789@example.com")
	require.Equal(t, "[card]@example.com", out)
}

func TestPresets(t *testing.T) {
	t.Parallel()
	const text = "ring 020 7946 0958 ssn 123-45-6789 mac 00:1a:2b:3c:4d:5e from 192.0.2.7"
	for _, tt := range []struct {
		preset scrub.Preset
		want   string
	}{
		{"", "ring [phone] ssn [ssn] mac 00:1a:2b:3c:4d:5e from [ip]"},
		{scrub.Errors, "ring [phone] ssn [ssn] mac 00:1a:2b:3c:4d:5e from [ip]"},
		{scrub.Everything, "ring [phone] ssn [ssn] mac [mac] from [ip]"},
	} {
		out, _ := newScrubber(t, scrub.Config{Preset: tt.preset}).String(text)
		require.Equal(t, tt.want, out, tt.preset)
	}
	out, _ := newScrubber(t, scrub.Config{Preset: scrub.Logs}).String("ring 020 7946 0958 from 192.0.2.7")
	require.Equal(t, "ring 020 7946 0958 from [ip]", out)
	v, _, err := newScrubber(t, scrub.Config{Preset: scrub.Everything}).Value(struct{ Name string }{"x"})
	require.NoError(t, err)
	require.Equal(t, map[string]any{"Name": "[restricted]"}, v)
}

func TestHardwareAndWallets(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{Preset: scrub.Everything})
	for _, tt := range []struct{ name, in, want string }{
		{"MAC", "eth0 00:1a:2b:3c:4d:5e up", "eth0 [mac] up"},
		{"MAC, hyphens", "eth0 00-1A-2B-3C-4D-5E up", "eth0 [mac] up"},
		{"MAC, Cisco", "eth0 001a.2b3c.4d5e up", "eth0 [mac] up"},
		{"longer than a MAC", "id 00:1a:2b:3c:4d:5e:6f:70 up", "id 00:1a:2b:3c:4d:5e:6f:70 up"},
		{"IMEI", "imei=490154203237518", "imei=[imei]"},
		{"IMEI, printed", "IMEI: 49-015420-323751-8", "IMEI: [imei]"},
		{"no IMEI", "imei=490154203237519", "imei=490154203237519"},
		{"Ethereum", "to 0x52908400098527886E0F7030069857D2E4169EE7 ok", "to [wallet] ok"},
		{"a hash", "to 0x52908400098527886E0F7030069857D2E4169EE70011 ok", "to 0x52908400098527886E0F7030069857D2E4169EE70011 ok"},
		{"Bitcoin", "to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa ok", "to [wallet] ok"},
		{"Bitcoin, altered", "to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb ok", "to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb ok"},
		{"Bitcoin, bech32", "to bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq ok", "to [wallet] ok"},
		{"bech32, altered", "to bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdr ok", "to bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdr ok"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out, _ := s.String(tt.in)
			require.Equal(t, tt.want, out)
		})
	}
}

func TestCustomBeginsWithADigit(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{Custom: []scrub.Custom{{
		Name: "ticket", Prefix: "7-ABC-",
		Match: func(text string) int { return min(len(text), len("7-ABC-1234")) },
	}}})
	out, _ := s.String("see 7-ABC-1234 and 17 or 8-ABC-1234")
	require.Equal(t, "see [ticket] and 17 or 8-ABC-1234", out)
	out, _ = s.String("see 12 7-ABC-1234")
	require.Equal(t, "see 12 [ticket]", out)
}

// Types whose own methods say what their classes hide.
type (
	behindString   struct{ classed }
	behindJSON     struct{ classed }
	behindText     struct{ classed }
	behindLogValue struct{ classed }
	behindError    struct{ classed }
	behindPointer  struct{ *classed }
	behindList     []classed
	behindMap      map[string]classed
	behindDeep     struct{ Inner []map[string]*classed }
	classed        struct {
		Name string `pii:"confidential"`
	}
)

func (b behindString) String() string             { return b.Name }
func (b behindJSON) MarshalJSON() ([]byte, error) { return json.Marshal(b.Name) }
func (b behindText) MarshalText() ([]byte, error) { return []byte(b.Name), nil }
func (b behindLogValue) LogValue() slog.Value     { return slog.StringValue(b.Name) }
func (b behindError) Error() string               { return b.Name }
func (b behindPointer) String() string            { return b.Name }
func (b behindList) String() string               { return b[0].Name }
func (b behindMap) MarshalText() ([]byte, error)  { return []byte(b["a"].Name), nil }
func (b behindDeep) LogValue() slog.Value         { return slog.StringValue(b.Inner[0]["a"].Name) }

func TestClassesCannotBeBypassed(t *testing.T) {
	t.Parallel()
	ann := classed{"Ann Lee"}
	for _, cfg := range []scrub.Config{{}, {Strict: true}} {
		s := newScrubber(t, cfg)
		for _, v := range []any{
			ann, &ann,
			behindString{ann},
			behindJSON{ann},
			behindText{ann},
			behindLogValue{ann},
			behindError{ann},
			&behindError{ann},
			behindPointer{&ann},
			behindList{ann},
			behindMap{"a": ann},
			behindDeep{[]map[string]*classed{{"a": &ann}}},
			[]any{ann},
			map[string]any{"x": &ann},
			slog.AnyValue(ann), slog.Any("who", ann),
			[]slog.Attr{slog.Any("who", behindString{ann})},
			struct{ V any }{behindString{ann}},
			[1]classed{ann},
		} {
			t.Run(fmt.Sprintf("%T, strict %v", v, cfg.Strict), func(t *testing.T) {
				t.Parallel()
				clean, _, err := s.Value(v)
				require.NoError(t, err)
				require.NotContains(t, fmt.Sprint(clean), "Ann Lee")
				var b bytes.Buffer
				slog.New(s.Handler(slog.NewJSONHandler(&b, nil))).Info("x", "v", v, slog.Group("g", "v", v))
				require.NotContains(t, b.String(), "Ann Lee")
			})
		}
	}
}

type plainStringer struct{ Secretless string }

func (p plainStringer) String() string               { return p.Secretless }
func (p plainStringer) MarshalJSON() ([]byte, error) { return json.Marshal(p.Secretless) }

// TestStrictMeansStrict: a field without a class is restricted, whatever methods
// its type has.
func TestStrictMeansStrict(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{Strict: true, Clearance: sallyport.Confidential})
	for _, v := range []any{plainStringer{"x1"}, &plainStringer{"x1"}, []plainStringer{{"x1"}}, map[string]plainStringer{"k": {"x1"}}} {
		clean, _, err := s.Value(v)
		require.NoError(t, err)
		require.NotContains(t, fmt.Sprint(clean), "x1", "%T", v)
		require.Contains(t, fmt.Sprint(clean), "[restricted]")
	}
	clean, _, err := s.Value(errors.New("no ann@example.com"))
	require.NoError(t, err)
	require.Equal(t, "no [email]", clean, "an error has no fields to classify")
}

// TestManyKeysScrubToOne: every address in a map becomes [email].
func TestManyKeysScrubToOne(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{})
	many := map[string]int{}
	for i := range 4000 {
		many[fmt.Sprintf("user%d@example.com", i)] = i
	}
	clean, rep, err := s.Value(many)
	require.NoError(t, err)
	require.Len(t, clean, 4000, "no key hides another")
	require.Equal(t, 4000, rep.Count(scrub.Email))
}

func TestLineWriter(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{})
	var out lockedBuffer
	w := s.NewLineWriter(&out)
	for _, part := range []string{
		"to ann@exam", "ple.com\nno", "thing\n", `{"password":"x y","n":1}` + "\n", "panic: ann@example.com\n\tmain.go:17\n", "end ann@example.com",
	} {
		n, err := io.WriteString(w, part)
		require.NoError(t, err)
		require.Equal(t, len(part), n)
	}
	require.Equal(t, "to [email]\nnothing\n"+`{"password":"[secret]","n":1}`+"\npanic: [email]\n\tmain.go:17\n", out.String())
	require.NoError(t, w.Close())
	require.NoError(t, w.Close())
	require.True(t, strings.HasSuffix(out.String(), "end [email]"))
	require.Equal(t, 3, w.Report().Count(scrub.Email))
	long := strings.Repeat("x", 3<<20)
	_, err := io.WriteString(w, long)
	require.NoError(t, err)
	require.Contains(t, out.String(), long, "a line without an end is not held for ever")

	_, err = (*scrub.Scrubber)(nil).NewLineWriter(&out).Write([]byte("x"))
	require.ErrorIs(t, err, scrub.ErrDropped)
	broken := errors.New("disk full")
	_, err = s.NewLineWriter(brokenWriter{broken}).Write([]byte("x\n"))
	require.ErrorIs(t, err, broken)
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// TestLineWriterConcurrently: lines of several loggers are whole, and none is
// lost.
func TestLineWriterConcurrently(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{})
	var out bytes.Buffer // LineWriter makes one call at a time
	w := s.NewLineWriter(&out)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				fmt.Fprintf(w, "logger %d line %d of ann@example.com end\n", g, i)
			}
		})
	}
	wg.Wait()
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	require.Len(t, lines, 1600)
	for _, line := range lines {
		require.Regexp(t, `^logger \d line \d+ of \[email\] end$`, line)
	}
}

// TestLongKeys: a name of the configuration may be longer than those of the list.
func TestLongKeys(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("donaudampfschiff", 3)
	s := newScrubber(t, scrub.Config{Keys: []string{long + " number", long}})
	out, _ := s.String(`{"` + long + `":"x1","number":"17","` + long + `_number":18}`)
	require.Equal(t, `{"`+long+`":"[secret]","number":"17","`+long+`_number":"[secret]"}`, out)
}
