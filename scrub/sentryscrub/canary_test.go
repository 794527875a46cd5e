package sentryscrub_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getsentry/sentry-go"
	"github.com/getsentry/sentry-go/attribute"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/scrub"
	"github.com/opsmantik/sallyport/scrub/sentryscrub"
)

// wire is a loopback Sentry that keeps every byte it was sent.
type wire struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
}

func newWire(t *testing.T) *wire {
	w := &wire{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var head bytes.Buffer
		_ = r.Header.Write(&head)
		w.mu.Lock()
		w.bodies = append(w.bodies, head.String()+string(body))
		w.mu.Unlock()
		rw.WriteHeader(http.StatusOK)
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *wire) all() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.bodies, "\n")
}

func (w *wire) options() sentry.ClientOptions {
	return sentry.ClientOptions{
		Dsn:              strings.Replace(w.URL, "http://", "http://0123456789abcdef@", 1) + "/1",
		EnableTracing:    true,
		TracesSampleRate: 1,
		MaxErrorDepth:    10,
	}
}

func newScrubber(t testing.TB) *scrub.Scrubber {
	t.Helper()
	s, err := scrub.New(scrub.Config{})
	require.NoError(t, err)
	return s
}

func newHub(t testing.TB, o sentry.ClientOptions) *sentry.Hub {
	t.Helper()
	client, err := sentry.NewClient(o)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return sentry.NewHub(client, sentry.NewScope())
}

// canaries hands out addresses that no other text contains.
type canaries struct {
	n      int
	places map[string]string
}

func (c *canaries) next(place string) string {
	c.n++
	v := fmt.Sprintf("canary%03d@private.example", c.n)
	if c.places == nil {
		c.places = map[string]string{}
	}
	c.places[fmt.Sprintf("canary%03d", c.n)] = place
	return v
}

// fill puts a canary into every string, map and slice below v, so that a
// field which the SDK adds tomorrow has one too.
func (c *canaries) fill(v reflect.Value, place string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(c.next(place))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		c.fill(v.Elem(), place)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte("payload " + c.next(place)))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		c.fill(v.Index(0), place+"[]")
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key := reflect.New(v.Type().Key()).Elem()
		key.SetString(c.next(place + " key"))
		value := reflect.New(v.Type().Elem()).Elem()
		c.fill(value, place+" value")
		v.SetMapIndex(key, value)
	case reflect.Interface:
		if v.NumMethod() == 0 {
			v.Set(reflect.ValueOf(map[string]any{"deep": []any{c.next(place + " any")}}))
		}
	case reflect.Struct:
		c.fillStruct(v, place)
	}
}

func (c *canaries) fillStruct(v reflect.Value, place string) {
	if v.Type() == reflect.TypeFor[attribute.Value]() {
		v.Set(reflect.ValueOf(attribute.StringSliceValue([]string{c.next(place)})))
		return
	}
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() {
			c.fill(v.Field(i), place+"."+f.Name)
		}
	}
}

func (c *canaries) event(kind string) *sentry.Event {
	e := &sentry.Event{}
	c.fill(reflect.ValueOf(e).Elem(), kind)
	e.EventID, e.Type, e.Timestamp = "", kind, time.Now()
	e.Logs, e.Metrics, e.CheckIn, e.MonitorConfig = nil, nil, nil, nil
	for _, s := range e.Spans {
		s.StartTime, s.EndTime = time.Now(), time.Now()
	}
	return e
}

type chained struct{ text string }

func (c chained) Error() string { return c.text }

// exercise sends canaries through every way the SDK offers.
func exercise(hub *sentry.Hub, c *canaries) {
	ctx := sentry.SetHubOnContext(context.Background(), hub)
	scope := hub.Scope()
	scope.SetTag("tag", c.next("scope tag"))
	scope.SetUser(sentry.User{
		ID: c.next("scope user id"), Email: c.next("scope user email"), Name: c.next("scope user name"),
		Username: c.next("scope username"), IPAddress: "203.0.113.77", Data: map[string]string{"k": c.next("scope user data")},
	})
	scope.SetContext("order", sentry.Context{"card": int64(4929718123456789), "note": c.next("scope context")})
	scope.AddBreadcrumb(&sentry.Breadcrumb{Message: c.next("scope breadcrumb"), Data: map[string]any{"x": c.next("crumb data")}}, 10)
	scope.SetFingerprint([]string{c.next("scope fingerprint")})
	scope.AddAttachment(&sentry.Attachment{Filename: c.next("attachment name") + ".txt", Payload: []byte("log " + c.next("attachment"))})
	r := httptest.NewRequest("POST", "http://shop.test/p/"+c.next("path")+"?email="+c.next("query"), strings.NewReader("mail="+c.next("body")))
	r.Header.Set("Referer", "https://x.test/?t="+c.next("referer"))
	r.Header.Set("User-Agent", "bot "+c.next("user agent"))
	r.Header.Set("X-Custom", c.next("custom header"))
	r.Header.Set("Authorization", "Bearer "+c.next("authorization"))
	r.Header.Set("Cookie", "session="+c.next("cookie"))
	scope.SetRequest(r)
	hub.AddBreadcrumb(&sentry.Breadcrumb{Category: c.next("crumb category"), Message: c.next("crumb message")}, nil)

	hub.CaptureMessage("hello " + c.next("message"))
	hub.CaptureException(fmt.Errorf("outer %s: %w", c.next("wrapping error"), chained{"inner " + c.next("inner error")}))
	hub.CaptureException(errors.Join(errors.New(c.next("joined a")), errors.New(c.next("joined b"))))
	hub.Recover(struct{ Note string }{c.next("recovered value")})
	hub.CaptureEvent(c.event(""))
	hub.CaptureEvent(c.event("transaction"))
	hub.CaptureCheckIn(&sentry.CheckIn{MonitorSlug: c.next("monitor slug"), Status: sentry.CheckInStatusOK},
		&sentry.MonitorConfig{Schedule: sentry.CrontabSchedule(c.next("crontab")), Timezone: c.next("timezone")})

	tx := sentry.StartTransaction(ctx, "GET "+c.next("transaction name"), sentry.ContinueFromHeaders(
		"d49d9bf66f13450b81f65bc51cf49c03-1cc4b26ab9094ef0-1",
		"sentry-trace_id=d49d9bf66f13450b81f65bc51cf49c03,sentry-user_segment="+c.next("baggage")+
			",sentry-transaction="+c.next("baggage transaction")))
	tx.SetTag("t", c.next("transaction tag"))
	tx.SetData("http.fragment", c.next("transaction data"))
	child := tx.StartChild("db.query", sentry.WithDescription("SELECT "+c.next("span description")))
	child.SetTag("t", c.next("span tag"))
	child.SetData("db.query.text", "WHERE mail='"+c.next("span data")+"'")
	child.Finish()
	tx.Finish()

	logger := sentry.NewLogger(ctx)
	logger.SetAttributes(attribute.String("who", c.next("logger attribute")))
	logger.Error().WithCtx(ctx).String("s", c.next("log attribute")).
		StringSlice("ss", []string{c.next("log slice")}).Int64("card", 4929718123456789).
		Emitf("template %s and %s", c.next("log parameter 0"), c.next("log parameter 1"))
	logger.Info().WithCtx(ctx).Emit("log body " + c.next("log body"))

	meter := sentry.NewMeter(ctx)
	meter.Count("count."+c.next("metric name"), 1, sentry.WithAttributes(attribute.String("a", c.next("metric attribute"))))
	meter.Gauge("gauge", 2, sentry.WithUnit(c.next("metric unit")))
	hub.Flush(10 * time.Second)
}

var canaryPattern = regexp.MustCompile(`(?i)canary(\d{3})`)

// found returns the distinct canaries in what was sent.
func found(text string) []string {
	set := map[string]bool{}
	for _, m := range canaryPattern.FindAllString(text, -1) {
		set[strings.ToLower(m)] = true
	}
	all := make([]string, 0, len(set))
	for k := range set {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

const minPlaces = 60

func TestCanariesWithoutConfigure(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	o := w.options()
	//lint:ignore SA1019 applications still set it
	o.SendDefaultPII = true
	c := &canaries{}
	exercise(newHub(t, o), c)
	text := w.all()
	got := found(text)
	t.Logf("%d of %d canaries are on the wire", len(got), c.n)
	require.GreaterOrEqual(t, len(got), minPlaces, "the test must be able to find leaks")
	for _, item := range []string{
		`"type":"event"`, `"type":"transaction"`, `"type":"log"`, `"type":"trace_metric"`,
		`"type":"check_in"`, `"type":"attachment"`,
	} {
		require.Contains(t, text, item)
	}
	require.Contains(t, text, "4929718123456789")
	require.Contains(t, text, "203.0.113.77")
}

func TestCanaries(t *testing.T) {
	t.Parallel()
	for _, buffered := range []bool{true, false} {
		t.Run(fmt.Sprintf("buffered=%v", buffered), func(t *testing.T) {
			t.Parallel()
			w := newWire(t)
			o := w.options()
			//lint:ignore SA1019 applications still set it
			o.SendDefaultPII = true // Configure turns it off
			o.DisableTelemetryBuffer = !buffered
			o.ServerName, o.Release = "host-"+(&canaries{}).next(""), "app@1.2.3"
			guard, err := sentryscrub.Configure(&o, newScrubber(t))
			require.NoError(t, err)
			c := &canaries{}
			exercise(newHub(t, o), c)
			text := w.all()
			for _, id := range found(text) {
				at := strings.Index(text, id)
				t.Errorf("%s (%s) is on the wire: ...%s...", id, c.places[id], text[max(0, at-80):min(len(text), at+40)])
			}
			require.NotContains(t, text, "4929718123456789")
			require.NotContains(t, text, "203.0.113.77")
			for _, item := range []string{
				`"type":"event"`, `"type":"transaction"`, `"type":"log"`, `"type":"trace_metric"`,
				`"type":"check_in"`, `"type":"attachment"`,
			} {
				require.Contains(t, text, item, "it must still be sent")
			}
			require.Contains(t, text, "hello [email]")
			require.Zero(t, guard.Dropped())
		})
	}
}
