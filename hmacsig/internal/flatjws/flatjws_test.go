package flatjws_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig/internal/flatjws"
)

var objects = []struct {
	text string
	want bool
}{
	{`{}`, true},
	{` { } `, true},
	{`{"a":"b"}`, true},
	{"{ \"a\" :\t\"b\" ,\r\n\"c\": -1.5e+10 , \"d\":true,\"e\":false,\"f\":null}", true},
	{`{"\u0061":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}`, true},
	{`{"a":0}`, true},
	{``, false},
	{`{`, false},
	{`{"a"}`, false},
	{`{"a":}`, false},
	{`{"a":"b",}`, false},
	{`{"a":"b"}x`, false},
	{`{"a":"b"`, false},
	{`{"a" "b"}`, false},
	{`{a:1}`, false},
	{`[]`, false},
	{`{"a":[]}`, false},
	{`{"a":{}}`, true},
	{`{"a":{"b":1,"c":"}"},"d":{ }}`, true},
	{`{"a":{"b":{}}}`, false},
	{`{"a":{"b":[]}}`, false},
	{`{"a":{"b":1}`, false},
	{`{"a":{`, false},
	{`{"a":{"b"}}`, false},
	{`{"a":{"b":1,}}`, false},
	{`{"a":01}`, false},
	{`{"a":+1}`, false},
	{`{"a":1.}`, false},
	{`{"a":.5}`, false},
	{`{"a":1e}`, false},
	{`{"a":-}`, false},
	{`{"a":tru}`, false},
	{`{"a":truex}`, false},
	{"{\"a\":\"\n\"}", false},
	{`{"a":"\x"}`, false},
	{`{"a":"\`, false},
	{`{"a":"\u12"}`, false},
	{`{"a":"\u12g4"}`, false},
	{`{"a":"\ud83d"}`, false},
	{`{"a":"\ud83d\u0041"}`, false},
	{`{"a":"\ude00\ud83d"}`, false},
	{"{\"a\":\"\xff\"}", false},
}

func TestMembers(t *testing.T) {
	t.Parallel()
	for _, row := range objects {
		got := flatjws.Members([]byte(row.text), func(_, _ []byte, _ byte) bool { return true })
		require.Equal(t, row.want, got, row.text)
	}
	require.False(t, flatjws.Members([]byte(`{"a":1,"b":2}`), func(name, _ []byte, _ byte) bool {
		return string(name) != "b"
	}), "the visitor's no counts")
}

func TestIsHS256(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`{"alg":"HS256","typ":"JWT"}`:              true,
		`{"typ":"JWT","alg":"HS256"}`:              true,
		`{"alg":"HS256"}`:                          true,
		`{"typ":"JWT"}`:                            false,
		`{"alg":"none"}`:                           false,
		`{"alg":"HS256","alg":"HS256"}`:            false,
		`{"alg":"HS256","typ":"JWT","typ":"JWT"}`:  false,
		`{"alg":"HS256","kid":"x"}`:                false,
		`{"alg":"HS256","b64":false,"crit":["x"]}`: false,
		`{"alg":"HS256","typ":1}`:                  false,
	} {
		var buf [256]byte
		encoded := base64.RawURLEncoding.EncodeToString([]byte(text))
		require.Equal(t, want, flatjws.IsHS256(buf[:], encoded), text)
	}
	var small [8]byte
	require.False(t, flatjws.IsHS256(small[:], "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9"),
		"larger than its buffer")
	require.False(t, flatjws.IsHS256(small[:], "!"))
}

func TestDecode(t *testing.T) {
	t.Parallel()
	var buf [8]byte
	for text, want := range map[string]bool{
		"QQ": true, "QUI": true, "QUJD": true, "": true,
		"QR": false, "QUJ": false, "QQ==": false, "Q": false, "Q\nQ": false, "QU\nJD": false,
		"QUJDQUJDQUJD": false, // longer than buf
	} {
		_, ok := flatjws.Decode(buf[:], text)
		require.Equal(t, want, ok, "%q", text)
	}
}

func TestSeconds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"0": true, "1795299383": true, "99999999999": true,
		"100000000000": false, "-1": false, "1.0": false, "1e3": false,
	} {
		_, ok := flatjws.Seconds([]byte(text), '0')
		require.Equal(t, want, ok, text)
	}
	_, ok := flatjws.Seconds([]byte("1"), '"')
	require.False(t, ok, "a number in quotes")
}

// FuzzMembers: what is accepted is JSON, and encoding/json reads the same
// members out of it.
func FuzzMembers(f *testing.F) {
	for _, row := range objects {
		f.Add([]byte(row.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, ok := members(text)
		if !ok {
			return
		}
		var want map[string]any
		if err := json.Unmarshal(bytes.Clone(text), &want); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		require.Equal(t, want, got)
	})
}

// members reads an object as encoding/json would.
func members(text []byte) (got map[string]any, ok bool) {
	got = map[string]any{}
	ok = flatjws.Members(text, func(name, value []byte, kind byte) (ok bool) {
		switch kind {
		case '"':
			got[string(name)] = string(value)
		case '0':
			n, err := strconv.ParseFloat(string(value), 64)
			got[string(name)] = n
			return err == nil
		case '{':
			got[string(name)], ok = members(value)
			return ok
		default:
			got[string(name)] = map[byte]any{'t': true, 'f': false, 'n': nil}[kind]
		}
		return true
	})
	return got, ok
}
