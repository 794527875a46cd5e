package sentryscrub_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/getsentry/sentry-go"
	"github.com/getsentry/sentry-go/attribute"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/scrub/sentryscrub"
)

// places hands out a different value for every place of the SDK's types, found
// by reflection: an address for a text, a card for a number, a password below a
// denied name, and all forms of them where anything goes.
type places struct {
	n      int
	values map[string]string // what must not be sent, and its place
}

// card returns a card number that no other place has.
func (p *places) card(place string) int64 {
	p.n++
	base := int64(492971810000000) + int64(p.n)*37
	for d := range int64(10) {
		if luhn(base*10 + d) {
			p.note(fmt.Sprint(base*10+d), place)
			return base*10 + d
		}
	}
	return 0
}

func luhn(n int64) bool {
	sum := int64(0)
	for i := 0; n > 0; i++ {
		d := n % 10
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum, n = sum+d, n/10
	}
	return sum%10 == 0
}

func (p *places) note(value, place string) {
	if p.values == nil {
		p.values = map[string]string{}
	}
	p.values[value] = place
}

func (p *places) mail(place string) string {
	p.n++
	v := fmt.Sprintf("place%04d@private.example", p.n)
	p.note(fmt.Sprintf("place%04d", p.n), place)
	return v
}

func (p *places) password(place string) string {
	p.n++
	v := fmt.Sprintf("hunter%04dzx", p.n)
	p.note(v, place)
	return v
}

type hiddenField struct {
	Shown  string
	hidden string
}

func (h hiddenField) String() string { return h.Shown + h.hidden }

// anything is what an application may put where the SDK takes any.
func (p *places) anything(place string) any {
	return map[string]any{
		"text": p.mail(place + " text"), "int": p.card(place + " int"), "float": float64(p.card(place + " float")),
		"uint": uint64(p.card(place + " uint")), "bytes": []byte(p.mail(place + " bytes")), // #nosec G115 -- positive
		"raw":      json.RawMessage(fmt.Sprintf(`{"m":%q,"password":%q}`, p.mail(place+" raw"), p.password(place+" raw"))),
		"error":    fmt.Errorf("wrapped: %w", errors.New(p.mail(place+" error"))),
		"stringer": hiddenField{p.mail(place + " shown"), p.mail(place + " hidden")},
		"pointer":  &hiddenField{Shown: p.mail(place + " pointer")},
		"password": p.password(place + " denied"), "credentials": map[string]any{"user": p.password(place + " denied tree")},
		"pair":  []any{"x-api-key", p.password(place + " pair")},
		"named": map[string]string{"name": "DB_PASSWORD", "value": p.password(place + " named")},
		"json":  fmt.Sprintf(`{"token":%q}`, p.password(place+" JSON in text")),
		"group": map[any]any{p.mail(place + " any key"): []string{p.mail(place + " list")}},
		"url":   "https://app:" + p.password(place+" URL") + "@db.example/x?email=" + strings.ReplaceAll(p.mail(place+" query"), "@", "%40"),
		"time":  time.Now(), "nil": nil, "func": func() {},
	}
}

// fill sets everything below v.
func (p *places) fill(v reflect.Value, place string) {
	switch v.Type() {
	case reflect.TypeFor[attribute.Value]():
		v.Set(reflect.ValueOf(attribute.StringSliceValue([]string{p.mail(place)})))
		return
	case reflect.TypeFor[map[string]attribute.Value]():
		v.Set(reflect.ValueOf(p.attributes(place)))
		return
	case reflect.TypeFor[time.Time]():
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(p.mail(place))
	case reflect.Int64, reflect.Int:
		v.SetInt(p.card(place))
	case reflect.Uint64:
		v.SetUint(uint64(p.card(place))) // #nosec G115 -- positive
	case reflect.Float64:
		v.SetFloat(float64(p.card(place)))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		p.fill(v.Elem(), place)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte("payload " + p.mail(place)))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		p.fill(v.Index(0), place+"[]")
	case reflect.Map:
		p.fillMap(v, place)
	case reflect.Interface:
		if v.NumMethod() == 0 {
			v.Set(reflect.ValueOf(p.anything(place)))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				p.fill(v.Field(i), place+"."+f.Name)
			}
		}
	}
}

// fillMap puts a value below a canary, and another below a denied name.
func (p *places) fillMap(v reflect.Value, place string) {
	v.Set(reflect.MakeMap(v.Type()))
	for _, name := range []string{p.mail(place + " key"), "password"} {
		key := reflect.New(v.Type().Key()).Elem()
		key.SetString(name)
		value := reflect.New(v.Type().Elem()).Elem()
		if value.Kind() == reflect.String && name == "password" {
			value.SetString(p.password(place + " denied"))
		} else {
			p.fill(value, place+" value")
		}
		v.SetMapIndex(key, value)
	}
}

func (p *places) attributes(place string) map[string]attribute.Value {
	return map[string]attribute.Value{
		p.mail(place + " key"): attribute.StringValue(p.mail(place)),
		"int":                  attribute.Int64Value(p.card(place + " int")),
		"ints":                 attribute.Int64SliceValue([]int64{p.card(place + " ints")}),
		"float":                attribute.Float64Value(float64(p.card(place + " float"))),
		"floats":               attribute.Float64SliceValue([]float64{float64(p.card(place + " floats"))}),
		"texts":                attribute.StringSliceValue([]string{p.mail(place + " texts")}),
		"password":             attribute.StringValue(p.password(place + " denied")),
		"db.token":             attribute.Int64Value(p.card(place + " denied number")),
	}
}

// events returns one event of each type, every place of it filled.
func (p *places) events() []*sentry.Event {
	var all []*sentry.Event
	for _, kind := range []string{"", "transaction", "check_in", "log", "trace_metric"} {
		e := &sentry.Event{}
		p.fill(reflect.ValueOf(e).Elem(), "event:"+kind)
		e.Type, e.Timestamp, e.StartTime = kind, time.Now(), time.Now()
		e.MonitorConfig.Schedule = sentry.CrontabSchedule(p.mail("event:" + kind + ".Schedule"))
		for _, s := range e.Spans {
			s.StartTime, s.EndTime = time.Now(), time.Now()
		}
		all = append(all, e)
	}
	return all
}

// leaks returns the places whose value is in text, in any of its spellings.
func (p *places) leaks(text string) []string {
	var all []string
	for value, place := range p.values {
		if strings.Contains(text, value) || strings.Contains(text, strings.ToUpper(value)) {
			all = append(all, place+" "+value)
		}
	}
	return slices.Sorted(slices.Values(all))
}

const wantPlaces = 300

// TestEveryPlace sends every place of the SDK's types through both walls.
func TestEveryPlace(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	o := w.options()
	o.EnableTracing = true
	guard, err := sentryscrub.Configure(&o, newScrubber(t))
	require.NoError(t, err)
	p := &places{}
	hub := newHub(t, o)
	hub.Scope().SetAttributes(slices.Collect(attributesOf(p.attributes("scope")))...)
	for _, e := range p.events() {
		hub.CaptureEvent(e)
	}
	hub.Flush(10 * time.Second)
	t.Logf("%d places, %d dropped", len(p.values), guard.Dropped())
	require.GreaterOrEqual(t, len(p.values), wantPlaces)
	require.Empty(t, p.leaks(w.all()))
	require.Contains(t, w.all(), `"type":"transaction"`)
}

func attributesOf(m map[string]attribute.Value) func(func(attribute.Builder) bool) {
	return func(yield func(attribute.Builder) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(attribute.Builder{Key: k, Value: m[k]}) {
				return
			}
		}
	}
}

// TestEveryPlaceAtTheSecondWall sends what the SDK would send without any hook:
// the second wall must do alone, and leave the shape of every item.
func TestEveryPlaceAtTheSecondWall(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	o := w.options()
	_, err := sentryscrub.Configure(&o, newScrubber(t))
	require.NoError(t, err)
	p := &places{}
	for _, e := range p.events() {
		e.Attachments = nil
		removeUnencodable(e)
		body, err := json.Marshal(e)
		require.NoError(t, err)
		envelope := fmt.Sprintf("{}\n{\"type\":%q,\"length\":%d}\n%s\n", e.Type, len(body), body)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL, strings.NewReader(envelope))
		require.NoError(t, err)
		answer, err := o.HTTPClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		sent := w.bodies[len(w.bodies)-1]
		lines := strings.Split(sent, "\n")
		var before, after any
		require.NoError(t, json.Unmarshal(body, &before))
		require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-2]), &after))
		requireShape(t, before, after, e.Type)
	}
	require.Empty(t, slices.DeleteFunc(p.leaks(w.all()), func(place string) bool {
		// Names and addresses of a user are removed by the first wall.
		return strings.Contains(place, ".User.") && !strings.Contains(place, "Email")
	}))
}

// removeUnencodable takes out what encoding/json cannot write.
func removeUnencodable(e *sentry.Event) {
	var clean func(m map[string]any)
	clean = func(m map[string]any) {
		delete(m, "func")
		delete(m, "group")
		for _, v := range m {
			if inner, ok := v.(map[string]any); ok {
				clean(inner)
			}
		}
	}
	for _, c := range e.Contexts {
		clean(c)
	}
	for _, b := range e.Breadcrumbs {
		clean(b.Data)
	}
	for i := range e.Exception {
		clean(e.Exception[i].Mechanism.Data)
		for j := range e.Exception[i].Stacktrace.Frames {
			clean(e.Exception[i].Stacktrace.Frames[j].Vars)
		}
	}
	for i := range e.Threads {
		for j := range e.Threads[i].Stacktrace.Frames {
			clean(e.Threads[i].Stacktrace.Frames[j].Vars)
		}
	}
	for _, s := range e.Spans {
		clean(s.Data)
	}
}

// requireShape fails if an object or a list became something else, or the type
// of an attribute contradicts its value.
func requireShape(t *testing.T, before, after any, at string) {
	t.Helper()
	switch b := before.(type) {
	case map[string]any:
		a, ok := after.(map[string]any)
		require.True(t, ok, "%s was an object and is %v", at, after)
		require.Len(t, a, len(b), at)
		if kind, ok := a["type"].(string); ok && len(a) == 2 && b["type"] != "crontab" {
			if _, text := a["value"].(string); text {
				require.Equal(t, "string", kind, at)
			}
		}
		for k, v := range b {
			if inner, kept := a[k]; kept {
				requireShape(t, v, inner, at+"."+k)
			}
		}
	case []any:
		a, ok := after.([]any)
		require.True(t, ok, "%s was a list and is %v", at, after)
		require.Len(t, a, len(b), at)
		for i := range b {
			requireShape(t, b[i], a[i], at+"[]")
		}
	}
}

// TestUTF16Attachment: the text of a Windows log is valid UTF-8 with zeros
// between its characters, which no detector reads.
func TestUTF16Attachment(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		little bool
		mark   bool
	}{{"little", true, true}, {"little, no mark", true, false}, {"big", false, true}, {"big, no mark", false, false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := "log of ann@example.com"
			if tt.mark {
				text = "\uFEFF" + text
			}
			var payload bytes.Buffer
			for _, u := range utf16.Encode([]rune(text)) {
				if tt.little {
					payload.Write([]byte{byte(u), byte(u >> 8)})
				} else {
					payload.Write([]byte{byte(u >> 8), byte(u)})
				}
			}
			w := newWire(t)
			o := w.options()
			_, err := sentryscrub.Configure(&o, newScrubber(t))
			require.NoError(t, err)
			hub := newHub(t, o)
			hub.Scope().AddAttachment(&sentry.Attachment{Filename: "app.log", Payload: payload.Bytes()})
			hub.CaptureMessage("hello")
			hub.Flush(5 * time.Second)
			require.Contains(t, w.all(), "log of [email]")
			require.NotContains(t, strings.ReplaceAll(w.all(), "\x00", ""), "ann@example.com")
		})
	}
}

// TestOutgoingBaggage: what the SDK tells other services about a transaction.
func TestOutgoingBaggage(t *testing.T) {
	t.Parallel()
	got := make(chan http.Header, 2)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header }))
	t.Cleanup(other.Close)
	w := newWire(t)
	o := w.options()
	guard, err := sentryscrub.Configure(&o, newScrubber(t))
	require.NoError(t, err)
	client := &http.Client{Transport: guard.Transport(nil)}
	for _, tt := range []struct{ in, want string }{
		{"sentry-transaction=GET%20%2Fusers%2Fann%40example.com,a=b;p=1", "sentry-transaction=GET%20%2Fusers%2F%5Bemail%5D,a=b;p=1"},
		{"sentry-trace_id=d49d9bf66f13450b81f65bc51cf49c03,c=d", "sentry-trace_id=d49d9bf66f13450b81f65bc51cf49c03,c=d"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, other.URL, nil)
		require.NoError(t, err)
		r.Header.Set("Baggage", tt.in)
		answer, err := client.Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, tt.want, (<-got).Get("Baggage"))
		require.Equal(t, tt.in, r.Header.Get("Baggage"), "the caller's request stays")
	}
}

// TestEveryPlaceWithoutWalls proves that the places can leak.
func TestEveryPlaceWithoutWalls(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	o := w.options()
	hub := newHub(t, o)
	p := &places{}
	for _, e := range p.events() {
		removeUnencodable(e)
		hub.CaptureEvent(e)
	}
	hub.Flush(10 * time.Second)
	found := len(p.leaks(w.all()))
	t.Logf("%d of %d places leak", found, len(p.values))
	require.GreaterOrEqual(t, found, wantPlaces)
}
