package event_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	v2 "github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/event"
)

var receipt = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func stdJSON(v any) ([]byte, error) { return v2.Marshal(v) }

// sealed is the event of a body that holds one.
func sealed(t testing.TB, body string) event.Received {
	t.Helper()
	batch, err := event.ParseSync([]byte(body))
	require.NoError(t, err)
	require.Len(t, batch.Events, 1)
	r := event.Received{ID: "x", Site: site, At: receipt, Event: &batch.Events[0]}
	r.Seal()
	return r
}

// Identity is the whole event: each member tells two events apart.
func TestIdentityIsTheWholeEvent(t *testing.T) {
	t.Parallel()
	identity := func(change map[string]any) string { return string(sealed(t, one(t, change)).Identity) }
	meta := func(name string, value any) map[string]any {
		return map[string]any{"meta": map[string]any{name: value}}
	}
	seen := map[string]string{identity(nil): "base"}
	for name, change := range map[string]map[string]any{
		"site":                 {"s": strings.Repeat("f", 32)},
		"session":              {"sid": "00000000-1bf0-4fd4-a10d-0cbeb2a5d12f"},
		"month":                {"sm": "2026-10-01"},
		"category":             {"ec": "system"},
		"action":               {"ea": "heartbeat"},
		"label":                {"el": "x"},
		"URL":                  {"u": "https://shop.example/q"},
		"value":                {"ev": 25},
		"referrer":             {"r": "https://shop.example/"},
		"stamp":                meta("intent_stamp", "1"),
		"fingerprint":          meta("fp", "p8x28p"),
		"measure":              meta("duration_sec", 4),
		"another measure":      meta("duration_sec", 12),
		"its text":             meta("duration_sec", "4"),
		"deep in meta":         meta("a", map[string]any{"b": 1}),
		"consent":              {"consent_scopes": []string{"analytics", "marketing"}},
		"a member of tomorrow": {"newer": 1},
		"its value":            {"newer": 2},
		"a large number":       meta("n", json.RawMessage("9007199254740993")),
		"its neighbour":        meta("n", json.RawMessage("9007199254740992")),
		"beyond the cut":       {"u": "https://shop.example/" + strings.Repeat("u", 5000)},
		"and its other end":    {"u": "https://shop.example/" + strings.Repeat("u", 5001)},
		// The same characters, cut elsewhere.
		"boundary": {"ec": "interactionv", "ea": "iew"},
	} {
		got := identity(change)
		require.NotContains(t, seen, got, "%s and %s", name, seen[got])
		seen[got] = name
	}
}

// A repeat equals its original as a JSON value, whatever encoder wrote it.
func TestIdentityIsThatOfTheValue(t *testing.T) {
	t.Parallel()
	const head = `{"s":"` + site + `","u":"https://shop.example/\u00e9","sid":"e22b4136-1bf0-4fd4-a10d-0cbeb2a5d12f",` +
		`"ec":"a","ea":"b","consent_scopes":["analytics"],`
	base := sealed(t, head+`"ev":1.5,"meta":{"fp":"x","a":{"p":1,"q":2},"t":"é"},"new":{"x":1,"y":2}}`)
	for name, tail := range map[string]string{
		"other order":    `"new":{"y":2,"x":1},"meta":{"t":"é","a":{"q":2,"p":1},"fp":"x"},"ev":1.5}`,
		"spaces":         ` "ev" : 1.5 , "meta": { "fp":"x", "a": {"p":1,"q":2}, "t":"é" }, "new":{"x":1,"y":2} }`,
		"escapes":        `"ev":1.5,"meta":{"fp":"x","a":{"p":1,"q":2},"t":"\u00e9"},"new":{"x":1,"y":2}}`,
		"number forms":   `"ev":15e-1,"meta":{"fp":"x","a":{"p":1.0,"q":2},"t":"é"},"new":{"x":1,"y":2}}`,
		"null and empty": `"el":"","r":"","sm":"","ev":1.5,"meta":{"fp":"x","a":{"p":1,"q":2},"t":"é"},"new":{"x":1,"y":2}}`,
	} {
		require.Equal(t, base.Identity, sealed(t, head+tail).Identity, name)
	}
}

// Two horizons: what moves is recognised for weeks, what two honest actions can
// repeat word for word for 45 s, and nobody's events never.
func TestHorizons(t *testing.T) {
	t.Parallel()
	const device = `"fp":"p8x28p","mem":16,"con":2,"sw":1280,"sh":720,"dpr":1.5,"con_type":"4g"`
	for name, row := range map[string]struct {
		meta, session string
		want          time.Duration
	}{
		"a view":                 {`{` + device + `}`, "x", event.Window},
		"without meta":           {`{}`, "x", event.Window},
		"a duration":             {`{` + device + `,"duration_sec":4}`, "x", event.Horizon},
		"of zero":                {`{"active_sec":0}`, "x", event.Horizon},
		"a counter":              {`{"cta_hovers":1}`, "x", event.Horizon},
		"a depth, deeper":        {`{"scroll":{"depth":40}}`, "x", event.Horizon},
		"a stamp":                {`{"intent_stamp":"1795-a"}`, "x", event.Horizon},
		"an empty stamp":         {`{"intent_stamp":""}`, "x", event.Window},
		"a number as text":       {`{"active_sec":"4"}`, "x", event.Window},
		"nobody":                 {`{"duration_sec":4}`, "", 0},
		"nobody, empty print":    {`{"fp":""}`, "", 0},
		"a fingerprint alone":    {`{"fp":"x"}`, "", event.Window},
		"a fingerprint, deeper":  {`{"a":{"fp":"x"}}`, "", 0},
		"and not by its content": {`{"a":"fp"}`, "", 0},
	} {
		change := map[string]any{"meta": json.RawMessage(row.meta)}
		if row.session == "" {
			change["sid"] = nil
		}
		got := sealed(t, one(t, change))
		require.Equal(t, row.want, time.Duration(got.Fold)*time.Millisecond, name)
		require.Equal(t, row.want != 0, len(got.Identity) > 0, name)
	}
}

// What an earlier version queued has no identity yet.
func TestCompleteSealsWhatWasQueuedWithout(t *testing.T) {
	t.Parallel()
	want := sealed(t, one(t, map[string]any{"meta": map[string]any{"fp": "x", "intent_stamp": "s"}}))
	queued, err := stdJSON(want)
	require.NoError(t, err)
	var old event.Received
	require.NoError(t, v2.Unmarshal(queued, &old))
	old.Identity, old.Fold, old.Stamp = nil, 0, ""
	old.Complete()
	require.Equal(t, want.Identity, old.Identity)
	require.Equal(t, want.Fold, old.Fold)
	require.Equal(t, "s", old.Stamp)
}

// An address too long is cut, not refused.
func TestLongAddressesAreCut(t *testing.T) {
	t.Parallel()
	long := "https://shop.example/" + strings.Repeat("é", 3000)
	got := sealed(t, one(t, map[string]any{"u": long, "r": long})).Event
	require.Len(t, got.URL, 4095, "not inside a character")
	require.Equal(t, got.URL, got.Referrer)
	require.True(t, strings.HasPrefix(long, got.URL))
}

func TestMonthThatTheReceiptContradicts(t *testing.T) {
	t.Parallel()
	for month, want := range map[string]string{
		"2026-11-01": "2026-11-01", "2026-10-01": "2026-10-01", "2026-12-01": "2026-12-01",
		"1970-01-01": "2026-11-01", "9999-12-01": "2026-11-01", "2027-02-01": "2026-11-01", "": "2026-11-01",
	} {
		require.Equal(t, want, sealed(t, one(t, map[string]any{"sm": month})).Event.Month, month)
	}
}

// Text that no store can hold is mended: half a surrogate pair, NUL, and bytes
// that are no UTF-8.
func TestTextIsMended(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ given, want string }{
		"lone surrogate":     {`cut \ud83d`, "cut \ufffd"},
		"upper case":         {`cut \uD83D.`, "cut \ufffd."},
		"low one":            {`\ude00`, "\ufffd"},
		"a whole pair":       {`\ud83d\ude00`, "😀"},
		"NUL":                {`a\u0000b`, "a\ufffdb"},
		"an escaped one":     {`a\\u0000`, `a\u0000`},
		"an escaped half":    {`a\\ud83d`, `a\ud83d`},
		"not UTF-8":          {"a\xffb", "a\ufffdb"},
		"both":               {`\u0000\ud83d`, "\ufffd\ufffd"},
		"backslash, NUL":     {`\\\u0000`, "\\\ufffd"},
		"nothing to be done": {`plain \u00e9`, "plain é"},
	} {
		body := `{"s":"` + site + `","u":"x","ec":"a","ea":"b","el":"` + row.given + `","meta":{"t":"` + row.given + `"}}`
		for _, body := range []string{body, `{"events":[` + body + `]}`} {
			got := sealed(t, body)
			require.Equal(t, row.want, got.Event.Label, name)
			var meta map[string]string
			require.NoError(t, json.Unmarshal(got.Event.Meta, &meta), name)
			require.Equal(t, row.want, meta["t"], name)
		}
	}
}

// One bad event must not cost good ones.
func TestOneBadEventCostsNoGoodOne(t *testing.T) {
	t.Parallel()
	good := one(t, nil)
	for name, bad := range map[string]struct{ event, code string }{
		"empty":        {`{}`, "site_required"},
		"another type": {`7`, "wrong_shape"},
		"wrong member": {`{"s":1}`, "wrong_shape"},
		"no action":    {one(t, map[string]any{"ea": nil}), "action_invalid"},
		"many scopes":  {`{"s":"` + site + `","u":"x","ec":"a","ea":"b","consent_scopes":[` + strings.Repeat(`"",`, 500) + `""]}`, "consent_invalid"},
	} {
		body := `{"events":[` + strings.Join([]string{good, good, good, bad.event, good, good}, ",") + `]}`
		batch, err := event.ParseSync([]byte(body))
		require.NoError(t, err, name)
		require.Len(t, batch.Events, 5, name)
		require.Equal(t, []event.Rejected{{Index: 3, Code: bad.code}}, batch.Rejected, name)
	}
}

func TestCallWithoutAnEventIDIsNamedAfterItsMessage(t *testing.T) {
	t.Parallel()
	name := func(ts, body string) string {
		var c event.Call
		c.NameAfter(ts, []byte(body))
		return c.EventID
	}
	require.Equal(t, name("1", "x"), name("1", "x"))
	require.NotEqual(t, name("1", "x"), name("1", "y"))
	require.NotEqual(t, name("1", "x"), name("2", "x"))
	named := event.Call{EventID: "33a11c86-2371-4af7-8580-e3f78f56d6a2"}
	named.NameAfter("1", nil)
	require.Equal(t, "33a11c86-2371-4af7-8580-e3f78f56d6a2", named.EventID)
}
