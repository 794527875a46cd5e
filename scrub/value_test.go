package scrub_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/scrub"
)

type customer struct {
	ID       int
	Name     string `json:"name"     pii:"confidential"`
	Plan     string `json:"plan"     pii:"public"`
	Notes    string `json:"notes"    pii:"internal"`
	Card     string `json:"card"     pii:"restricted"`
	Typo     string `json:"typo"     pii:"privat"`
	Password string `json:"password"`
	Skipped  string `json:"-"`
	hidden   string
	Parent   *customer `json:"parent,omitempty"`
}

// String would leak what the tags protect.
func (c customer) String() string { return c.Name + c.hidden }

func TestValueClasses(t *testing.T) {
	t.Parallel()
	c := customer{
		ID: 7, Name: "Ann Lee", Plan: "gold", Notes: "mail ann@example.com", Card: "x", Typo: "y",
		Password: "hunter2", Skipped: "s", hidden: "h",
	}
	s := newScrubber(t, scrub.Config{})
	got, rep, err := s.Value(map[string]any{"c": &c})
	require.NoError(t, err)
	require.Equal(t, map[string]any{"c": map[string]any{
		"ID": int64(7), "name": "[confidential]", "plan": "gold", "notes": "mail [email]",
		"card": "[restricted]", "typo": "[restricted]", "password": "[secret]", "parent": nil,
	}}, got)
	require.Equal(t, 1, rep.Count(scrub.Email))
	require.Equal(t, 1, rep.Count(scrub.Secret))

	strict := newScrubber(t, scrub.Config{Strict: true, Clearance: sallyport.Confidential})
	got, _, err = strict.Value(c)
	require.NoError(t, err)
	m := got.(map[string]any)
	require.Equal(t, "[restricted]", m["ID"], "untagged is restricted in strict mode")
	require.Equal(t, "Ann Lee", m["name"], "the destination is cleared for it")
	require.Equal(t, "[restricted]", m["card"])
}

type marshals struct{ mail string }

func (m marshals) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{"to":%q,"n":4929718123456789}`, m.mail), nil
}

type texts struct{ mail string }

func (x texts) MarshalText() ([]byte, error) { return []byte("<" + x.mail + ">"), nil }

type resolves struct{ mail string }

func (r resolves) LogValue() slog.Value {
	return slog.GroupValue(slog.String("mail", r.mail), slog.String("password", "hunter2"))
}

func TestValueForms(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{})
	now := time.Unix(0, 0)
	var none *customer
	for _, tt := range []struct {
		name string
		in   any
		want any
	}{
		{"nil", nil, nil},
		{"nil pointer", none, nil},
		{"text", "to ann@example.com", "to [email]"},
		{"number", 42, int64(42)},
		{"card as int", int64(4929718123456789), "[card]"},
		{"card as float", 4929718123456789.0, "[card]"},
		{"bool", true, true},
		{"time", now, now},
		{"duration", time.Second, time.Second},
		{"error", errors.New("no ann@example.com"), "no [email]"},
		{"bytes", []byte("ann@example.com"), "[email]"},
		{"binary", []byte{0xff, 0xfe, 0}, "[binary]"},
		{"raw message", json.RawMessage(`{"token":"abc","a":[1]}`), `{"token":"[secret]","a":[1]}`},
		{"json in text", `{"password":"x y"}`, `{"password":"[secret]"}`},
		{"json number", json.Number("4929718123456789"), "[card]"},
		{"marshaler", marshals{"ann@example.com"}, map[string]any{"to": "[email]", "n": "[card]"}},
		{"text marshaler", texts{"ann@example.com"}, "<[email]>"},
		{"log valuer", resolves{"ann@example.com"}, map[string]any{"mail": "[email]", "password": "[secret]"}},
		{"pair", []string{"authorization", "Bearer abc"}, []any{"authorization", "[token]"}},
		{"map key", map[string]int{"ann@example.com": 1}, map[string]any{"[email]": int64(1)}},
		{"denied number", map[string]any{"cvv": 123}, map[string]any{"cvv": "[secret]"}},
		{"denied tree", map[string]any{"password": []string{"a", "b"}}, map[string]any{"password": "[secret]"}},
		{"phone by key", map[string]any{"phone": "5321234567"}, map[string]any{"phone": "[phone]"}},
		{"function", func() {}, "[func]"},
		{"url", url.URL{Scheme: "https", Host: "a.test", RawQuery: "token=abcdef1234"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, _, err := s.Value(tt.in)
			require.NoError(t, err)
			if tt.name == "url" {
				require.NotContains(t, fmt.Sprint(got), "abcdef1234")
				return
			}
			require.Equal(t, tt.want, got)
		})
	}
}

type panics struct{}

func (panics) Error() string { panic("ann@example.com") }

func TestValueDrops(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{})
	cycle := &customer{}
	cycle.Parent = cycle
	loop := []any{nil}
	loop[0] = loop
	deep := any("x")
	for range 100 {
		deep = []any{deep}
	}
	for _, tt := range []struct {
		name string
		in   any
	}{
		{"cycle", cycle},
		{"slice cycle", loop},
		{"depth", deep},
		{"nodes", make([]int, 20_000)},
		{"size", string(bytes.Repeat([]byte("a"), 2<<20))},
		{"panic", panics{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, _, err := s.Value(tt.in)
			require.ErrorIs(t, err, scrub.ErrDropped)
			require.Nil(t, got)
		})
	}
}

func TestHandler(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := newScrubber(t, scrub.Config{})
	plain := slog.NewTextHandler(&out, &slog.HandlerOptions{
		Level: slog.LevelInfo,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})
	log := slog.New(s.Handler(plain)).With("token", "abc123def").WithGroup("g")
	log.Debug("not enabled ann@example.com")
	log.Info("to ann@example.com", "card", 4929718123456789, "n", 7, "password", "hunter2",
		slog.Group("in", "mail", "bob@example.com"), "ann@example.com", 1, "who", customer{Name: "Ann Lee"},
		"bad", panics{}, "err", fmt.Errorf("no %s", "ann@example.com"))
	text := out.String()
	for _, leak := range []string{"example.com", "4929", "hunter2", "abc123", "Ann", "not enabled"} {
		require.NotContains(t, text, leak)
	}
	for _, want := range []string{"[email]", "g.card=[card]", "g.n=7", "g.password=[secret]", "g.in.mail=[email]", "g.bad=[dropped]"} {
		require.Contains(t, text, want)
	}
}

func TestHeader(t *testing.T) {
	t.Parallel()
	h := http.Header{
		"Authorization": {"Bearer abc"}, "Cookie": {"a=b"}, "X-Api-Key": {"k1", "k2"}, "Accept": {"text/html"},
		"Referer": {"https://x.test/?email=ann%40example.com"}, "X-Author": {"someone"},
	}
	clean, rep := newScrubber(t, scrub.Config{}).Header(h)
	require.Equal(t, map[string][]string{
		"Authorization": {"[token]"}, "Cookie": {"[token]"}, "X-Api-Key": {"[secret]", "[secret]"},
		"Accept": {"text/html"}, "Referer": {"https://x.test/?email=[email]"}, "X-Author": {"someone"},
	}, clean)
	require.Equal(t, 5, rep.Total())
	require.Equal(t, "Bearer abc", h.Get("Authorization"), "the original stays")
}

func TestQuery(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{})
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"a=1&b=%20x", "a=1&b=%20x"},
		{"password=x+y&n=1", "password=[secret]&n=1"},
		{"access%5Ftoken=abcdefg", "access%5Ftoken=[secret]"},
		{"email=ann%40example.com;z", "email=[email];z"},
		{"q=card+4929+7181+2345+6789", "q=card+[card]"},
		{"phone=5321234567", "phone=[phone]"},
		{"monkey=1&token_count=5", "monkey=1&token_count=5"},
		{"bad=%zz&x=ann@example.com", "bad=%zz&x=[email]"},
	} {
		got, _ := s.Query(tt.in)
		require.Equal(t, tt.want, got)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{})
	for _, tt := range []struct{ name, in, want string }{
		{"clean", ` {"a": [1, 2.5e3, true, null, "x\ny"], "b": {} } `, ` {"a": [1, 2.5e3, true, null, "x\ny"], "b": {} } `},
		{"denied tree", `{"credentials":{"user":"a","list":[1,2]},"n":1}`, `{"credentials":"[secret]","n":1}`},
		{"escaped key", `{"pass\u0077ord":"x"}`, `{"pass\u0077ord":"[secret]"}`},
		{"numbers", `[4929718123456789, 7, 4929718123456780]`, `["[card]", 7, 4929718123456780]`},
		{"nested text", `{"b":"{\"password\":\"x\",\"m\":\"ann@example.com\"}"}`, `{"b":"{\"password\":\"[secret]\",\"m\":\"[email]\"}"}`},
		{"escaped value", `{"m":"ann\u0040example.com","k":"\u0034929718123456789"}`, `{"m":"[email]","k":"[card]"}`},
		{"null secret", `{"password":null,"token":"","secret":false}`, `{"password":null,"token":"","secret":false}`},
		{"key", `{"ann@example.com":1}`, `{"[email]":1}`},
		{"phone", `{"phone":5321234567,"order":5321234567}`, `{"phone":"[phone]","order":5321234567}`},
		{"not json", `{"m":"ann@example.com"`, `{"m":"[email]"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, _ := s.AppendJSON(nil, []byte(tt.in))
			require.Equal(t, tt.want, string(got))
		})
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{PseudonymKeys: [][]byte{bytes.Repeat([]byte{1}, 32)}})
	want, _ := s.String("to ann@example.com")
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			for range 50 {
				if got, _ := s.String("to ann@example.com"); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		})
	}
	wg.Wait()
}

func TestJSONLeaves(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{})
	for _, tt := range []struct{ name, in, want string }{
		{"tree", `{"password":{"a":"x1","b":[1234567,null]},"n":1}`, `{"password":{"a":"[secret]","b":["[secret]",null]},"n":1}`},
		{"attribute", `{"password":{"value":"x1","type":"string"}}`, `{"password":{"value":"[secret]","type":"string"}}`},
		{"number", `{"order":{"value":4929718123456789,"type":"integer"}}`, `{"order":{"value":"[card]","type":"string"}}`},
		{"untouched", `{"order":{"value":17,"type":"integer"}}`, `{"order":{"value":17,"type":"integer"}}`},
		{"pair", `["authorization",["Bearer abc123def456"]]`, `["authorization",["Bearer [token]"]]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, _ := s.AppendJSONLeaves(nil, []byte(tt.in))
			require.Equal(t, tt.want, string(got))
		})
	}
}
