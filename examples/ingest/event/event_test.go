package event_test

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/event"
)

const site = "0123456789abcdef0123456789abcdef"

// one returns a valid event with its members replaced or, for nil, removed.
func one(t testing.TB, change map[string]any) string {
	t.Helper()
	members := map[string]any{
		"s": site, "u": "https://shop.example/p", "sid": "e22b4136-1bf0-4fd4-a10d-0cbeb2a5d12f",
		"sm": "2026-11-01", "ec": "interaction", "ea": "view", "el": "", "ev": nil, "r": "",
		"meta": map[string]any{}, "consent_scopes": []string{"analytics"},
	}
	for name, value := range change {
		if value == nil {
			delete(members, name)
			continue
		}
		members[name] = value
	}
	body, err := json.Marshal(members)
	require.NoError(t, err)
	return string(body)
}

func repeat(t testing.TB, n int) string {
	t.Helper()
	all := make([]string, n)
	for i := range all {
		all[i] = one(t, nil)
	}
	return `{"events":[` + strings.Join(all, ",") + `]}`
}

// deep is an event whose meta has the given number of levels.
func deep(levels int) string {
	meta := strings.Repeat(`{"a":`, levels) + "1" + strings.Repeat("}", levels)
	return `{"s":"` + site + `","u":"x","ec":"a","ea":"b","meta":` + meta + `}`
}

func TestParseSyncRefusesWhatTheContractForbids(t *testing.T) {
	t.Parallel()
	other := strings.Repeat("f", 32)
	for name, row := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"empty":               {"", 400, "invalid_json"},
		"not JSON":            {"s=1&u=2", 400, "invalid_json"},
		"truncated":           {`{"s":"01`, 400, "invalid_json"},
		"trailing data":       {one(t, nil) + "{}", 400, "invalid_json"},
		"duplicate member":    {`{"s":"a","s":"b"}`, 400, "invalid_json"},
		"invalid UTF-8":       {"{\"s\":\"\xff\"}", 422, "url_required"},
		"deeply nested":       {`{"meta":{"a":` + strings.Repeat("[", 20000), 400, "invalid_json"},
		"array":               {"[]", 422, "wrong_shape"},
		"number":              {"1", 422, "wrong_shape"},
		"null":                {"null", 422, "site_required"},
		"events not an array": {`{"events":{}}`, 422, "wrong_shape"},
		"events null":         {`{"events":null}`, 422, "site_required"},
		"both spellings":      {`{"events":[],"batch":[]}`, 422, "batch_ambiguous"},
		"no events":           {`{"events":[]}`, 422, "batch_empty"},
		"101 events":          {repeat(t, 101), 429, "batch_too_many_events"},
		"mixed sites":         {`{"events":[` + one(t, nil) + "," + one(t, map[string]any{"s": other}) + `]}`, 400, "batch_mixed_sites"},
		"no site":             {one(t, map[string]any{"s": nil}), 422, "site_required"},
		"site a number":       {one(t, map[string]any{"s": 7}), 422, "wrong_shape"},
		"no URL":              {one(t, map[string]any{"u": nil}), 422, "url_required"},
		"no category":         {one(t, map[string]any{"ec": nil}), 422, "category_invalid"},
		"no action":           {one(t, map[string]any{"ea": nil}), 422, "action_invalid"},
		"label too long":      {one(t, map[string]any{"el": strings.Repeat("l", 2049)}), 422, "label_too_long"},
		"session not a UUID":  {one(t, map[string]any{"sid": "1"}), 422, "session_invalid"},
		"month not a first":   {one(t, map[string]any{"sm": "2026-11-02"}), 422, "month_invalid"},
		"value an object":     {one(t, map[string]any{"ev": map[string]any{}}), 422, "value_invalid"},
		"value true":          {one(t, map[string]any{"ev": true}), 422, "value_invalid"},
		"meta an array":       {one(t, map[string]any{"meta": []int{1}}), 422, "meta_invalid"},
		"meta too deep":       {deep(17), 422, "meta_invalid"},
		"meta far too deep":   {deep(9000), 422, "meta_invalid"},
		"87,000 empty events": {`{"events":[` + strings.Repeat("{},", 87_000) + `{}]}`, 429, "batch_too_many_events"},
		"87,000 scopes":       {`{"s":"` + site + `","consent_scopes":[` + strings.Repeat(`"",`, 87_000) + `""],"u":"x","ec":"a","ea":"b"}`, 422, "consent_invalid"},
		"no good event":       {`{"batch":[{},` + one(t, map[string]any{"ea": nil}) + `]}`, 400, "site_required"},
		"consent a string":    {one(t, map[string]any{"consent_scopes": "analytics"}), 422, "wrong_shape"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := event.ParseSync([]byte(row.body))
			var refused *event.Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, row.code, refused.Code)
			require.Equal(t, row.status, refused.Status)
		})
	}
}

func TestParseSyncAcceptsEveryFormOfTheTracker(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		body string
		want int
	}{
		"one":               {one(t, nil), 1},
		"events":            {`{"events":[` + one(t, nil) + `]}`, 1},
		"batch":             {`{"batch":[` + one(t, nil) + "," + one(t, nil) + `]}`, 2},
		"100 events":        {repeat(t, 100), 100},
		"site as a UUID":    {one(t, map[string]any{"s": "01234567-89AB-cdef-0123-456789abcdef"}), 1},
		"url for u":         {one(t, map[string]any{"u": nil, "url": "https://shop.example/p"}), 1},
		"unknown member":    {one(t, map[string]any{"newer": 1}), 1},
		"value a number":    {one(t, map[string]any{"ev": 1.5}), 1},
		"value a string":    {one(t, map[string]any{"ev": "12"}), 1},
		"meta of 16 levels": {strings.Replace(deep(16), `"u":"x"`, `"u":"https://shop.example/p"`, 1), 1},
		"meta null":         {one(t, map[string]any{"meta": json.RawMessage("null")}), 1},
		"without a session": {one(t, map[string]any{"sid": nil, "sm": nil}), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batch, err := event.ParseSync([]byte(row.body))
			require.NoError(t, err)
			events := batch.Events
			require.Len(t, events, row.want)
			require.Empty(t, batch.Rejected)
			require.Equal(t, site, events[0].Site)
			require.Equal(t, "https://shop.example/p", events[0].URL)
		})
	}
}

func TestConsentNeedsTheAnalyticsScope(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		scopes any
		want   bool
	}{
		"analytics":      {[]string{"marketing", "analytics"}, true},
		"marketing only": {[]string{"marketing"}, false},
		"other case":     {[]string{"Analytics"}, false},
		"none":           {[]string{}, false},
		"absent":         {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batch, err := event.ParseSync([]byte(one(t, map[string]any{"consent_scopes": row.scopes})))
			require.NoError(t, err)
			require.Equal(t, row.want, batch.Events[0].HasAnalyticsConsent())
		})
	}
}

func TestParseCallIsStrict(t *testing.T) {
	t.Parallel()
	const id = `"event_id":"33a11c86-2371-4af7-8580-e3f78f56d6a2"`
	const ofSite = `"site_id":"` + site + `"`
	for name, row := range map[string]struct{ body, code string }{
		"valid":             {`{` + id + `,` + ofSite + `}`, ""},
		"unknown member":    {`{` + id + `,` + ofSite + `,"x":1}`, "wrong_shape"},
		"consent scopes":    {`{` + id + `,` + ofSite + `,"consent_scopes":["analytics"]}`, "wrong_shape"},
		"consent time":      {`{` + id + `,` + ofSite + `,"consent_at":"now"}`, "wrong_shape"},
		"phone of 256":      {`{` + id + `,` + ofSite + `,"phone_number":"` + strings.Repeat("1", 256) + `"}`, ""},
		"malformed id":      {`{"event_id":"7",` + ofSite + `}`, "event_id_invalid"},
		"PHP's empty":       {`{` + id + `,` + ofSite + `,"ads_context":[]}`, ""},
		"array context":     {`{` + id + `,` + ofSite + `,"ads_context":[1]}`, "ads_context_invalid"},
		"other case member": {`{` + id + `,` + ofSite + `,"Phone_Number":"1"}`, "wrong_shape"},
		"another site":      {`{` + id + `,"site_id":"` + strings.Repeat("f", 32) + `"}`, "site_mismatch"},
		"no site":           {`{` + id + `}`, "site_mismatch"},
		"no event id":       {`{` + ofSite + `}`, ""},
		"long target":       {`{` + id + `,` + ofSite + `,"intent_target":"` + strings.Repeat("t", 3000) + `"}`, "field_too_long"},
		"long phone":        {`{` + id + `,` + ofSite + `,"phone_number":"` + strings.Repeat("1", 257) + `"}`, "field_too_long"},
		"long click id":     {`{` + id + `,` + ofSite + `,"gclid":"` + strings.Repeat("1", 3000) + `"}`, "field_too_long"},
		"long braid":        {`{` + id + `,` + ofSite + `,"wbraid":"` + strings.Repeat("1", 3000) + `"}`, "field_too_long"},
		"long URL":          {`{` + id + `,` + ofSite + `,"url":"` + strings.Repeat("1", 5000) + `"}`, "url_too_long"},
		"deep context":      {`{` + id + `,` + ofSite + `,"ads_context":` + strings.Repeat(`{"a":`, 17) + "1" + strings.Repeat("}", 17) + `}`, "ads_context_invalid"},
		"value an array":    {`{` + id + `,` + ofSite + `,"value":[]}`, "value_invalid"},
		"not JSON":          {`{`, "invalid_json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			call, err := event.ParseCall([]byte(row.body), site)
			if row.code == "" {
				require.NoError(t, err)
				require.Equal(t, site, call.Site)
				return
			}
			var refused *event.Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, row.code, refused.Code)
		})
	}
}

// captured yields the bodies that the real tracker sent to a path.
func captured(t testing.TB, path string) (bodies []string) {
	t.Helper()
	file, err := os.Open("testdata/captured.jsonl")
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var line struct{ Method, Path, Body string }
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
		if line.Method == "POST" && strings.HasPrefix(line.Path, path) {
			bodies = append(bodies, line.Body)
		}
	}
	require.NoError(t, lines.Err())
	require.NotEmpty(t, bodies)
	return bodies
}

func TestParsersAcceptTheCapturedTraffic(t *testing.T) {
	t.Parallel()
	for _, body := range captured(t, "/api/sync") {
		batch, err := event.ParseSync([]byte(body))
		require.NoError(t, err)
		require.True(t, batch.Events[0].HasAnalyticsConsent())
	}
	for _, body := range captured(t, "/api/call-event/v2") {
		call, err := event.ParseCall([]byte(body), site)
		require.NoError(t, err)
		require.Equal(t, "+905551112233", call.Phone)
	}
}

func FuzzParseSync(f *testing.F) {
	for _, body := range captured(f, "/api/sync") {
		f.Add([]byte(body))
	}
	f.Add([]byte(`{"events":[{"s":"` + site + `","url":"x","ec":"a","ea":"b","ev":1e9}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		batch, err := event.ParseSync(body)
		if err != nil {
			var refused *event.Error
			require.ErrorAs(t, err, &refused)
			require.Contains(t, []int{400, 422, 429}, refused.Status)
			return
		}
		events := batch.Events
		require.NotEmpty(t, events)
		require.LessOrEqual(t, len(events)+len(batch.Rejected), event.MaxBatch)
		for i := range events {
			require.Equal(t, events[0].Site, events[i].Site)
			require.NotEmpty(t, events[i].URL)
			r := event.Received{ID: "x", Site: events[i].Site, Event: &events[i]}
			r.Seal()
			queued, err := stdJSON(r)
			require.NoError(t, err, "what is accepted can be queued")
			require.NotContains(t, string(queued), `\\u0000`)
			require.NotEmpty(t, events[i].Category)
		}
	})
}

func FuzzParseCall(f *testing.F) {
	for _, body := range captured(f, "/api/call-event/v2") {
		f.Add([]byte(body), site)
	}
	f.Fuzz(func(t *testing.T, body []byte, signed string) {
		call, err := event.ParseCall(body, signed)
		if err == nil {
			require.Equal(t, event.NormalSite(signed), call.Site)
		}
	})
}
