package sentryscrub_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getsentry/sentry-go"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/scrub/sentryscrub"
)

func TestConfigureRefuses(t *testing.T) {
	t.Parallel()
	_, err := sentryscrub.Configure(nil, newScrubber(t))
	require.Error(t, err)
	_, err = sentryscrub.Configure(&sentry.ClientOptions{}, nil)
	require.Error(t, err)
	_, err = sentryscrub.Configure(&sentry.ClientOptions{Transport: sentry.NewHTTPSyncTransport()}, newScrubber(t))
	require.Error(t, err)
}

func TestHooksRunFirst(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	o := w.options()
	o.BeforeSend = func(e *sentry.Event, _ *sentry.EventHint) *sentry.Event {
		if e.Message == "drop" {
			return nil
		}
		e.Message += " from ann@example.com"
		return e
	}
	o.BeforeBreadcrumb = func(b *sentry.Breadcrumb, _ *sentry.BreadcrumbHint) *sentry.Breadcrumb {
		b.Message += " ann@example.com"
		return b
	}
	guard, err := sentryscrub.Configure(&o, newScrubber(t))
	require.NoError(t, err)
	hub := newHub(t, o)
	hub.AddBreadcrumb(&sentry.Breadcrumb{Message: "crumb"}, nil)
	hub.CaptureMessage("hi")
	hub.CaptureMessage("drop")
	hub.Flush(5 * time.Second)
	require.Contains(t, w.all(), "hi from [email]")
	require.Contains(t, w.all(), "crumb [email]")
	require.NotContains(t, w.all(), "drop\"")
	require.Zero(t, guard.Dropped(), "what the application drops is its own business")
}

type bomb struct{}

func (bomb) String() string { panic("card 4929718123456789") }

// TestFailsClosed sends what cannot be made safe.
func TestFailsClosed(t *testing.T) {
	t.Parallel()
	cycle := map[string]any{"secretless": "x"}
	cycle["self"] = cycle
	deep := map[string]any{}
	for range 100 {
		deep = map[string]any{"d": deep}
	}
	for _, tt := range []struct {
		name string
		use  func(*sentry.ClientOptions, *sentry.Hub)
		hook func(*sentry.Event, *sentry.EventHint) *sentry.Event
	}{
		{"panic in a hook", nil, func(*sentry.Event, *sentry.EventHint) *sentry.Event { panic("ann@example.com") }},
		{"panic in a value", func(_ *sentry.ClientOptions, h *sentry.Hub) {
			h.Scope().SetContext("c", sentry.Context{"v": bomb{}})
		}, nil},
		{"cycle", func(_ *sentry.ClientOptions, h *sentry.Hub) { h.Scope().SetContext("c", cycle) }, nil},
		{"depth", func(_ *sentry.ClientOptions, h *sentry.Hub) { h.Scope().SetContext("c", deep) }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t)
			o := w.options()
			o.BeforeSend, o.DisableClientReports = tt.hook, true
			guard, err := sentryscrub.Configure(&o, newScrubber(t))
			require.NoError(t, err)
			hub := newHub(t, o)
			if tt.use != nil {
				tt.use(&o, hub)
			}
			require.NotPanics(t, func() { hub.CaptureMessage("hello") })
			hub.Flush(5 * time.Second)
			require.NotContains(t, w.all(), "hello")
			require.Equal(t, uint64(1), guard.Dropped())
		})
	}
}

func TestWallFailsClosed(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	o := w.options()
	guard, err := sentryscrub.Configure(&o, newScrubber(t))
	require.NoError(t, err)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(`{}`))
	_ = z.Close()
	for _, tt := range []struct{ name, body, encoding string }{
		{"not json", "ann@example.com\n", ""},
		{"bad item header", "{}\nann@example.com\n{}\n", ""},
		{"bad payload", "{}\n{\"type\":\"event\"}\nann@example.com\n", ""},
		{"length too long", "{}\n{\"type\":\"event\",\"length\":99}\n{}\n", ""},
		{"negative length", "{}\n{\"type\":\"event\",\"length\":-1}\n{}\n", ""},
		{"compressed", zipped.String(), "gzip"},
		{"said to be compressed", "{}\n{\"type\":\"event\"}\n{}\n", "gzip"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := guard.Dropped()
			r, err := http.NewRequestWithContext(t.Context(), "POST", w.URL, strings.NewReader(tt.body))
			require.NoError(t, err)
			r.Header.Set("Content-Encoding", tt.encoding)
			if tt.encoding == "" {
				r.Header.Del("Content-Encoding")
			}
			resp, err := o.HTTPClient.Do(r)
			if err == nil {
				_ = resp.Body.Close()
			}
			require.Error(t, err)
			require.Equal(t, before+1, guard.Dropped())
			require.Empty(t, w.all())
		})
	}
	ok := "{\"trace\":{\"user_segment\":\"ann@example.com\"}}\n{\"type\":\"event\"}\n{\"m\":\"ann@example.com\"}\n\n" +
		"{\"type\":\"attachment\",\"length\":15,\"filename\":\"ann@example.com\"}\nann@example.com\n"
	r, err := http.NewRequestWithContext(t.Context(), "POST", w.URL, strings.NewReader(ok))
	require.NoError(t, err)
	resp, err := o.HTTPClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.NotContains(t, w.all(), "example.com")
	require.Contains(t, w.all(), `"length":7`, "lengths follow the scrubbed payload")
}

// TestApplicationMapsStay checks that nothing of the application is changed.
func TestApplicationMapsStay(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	o := w.options()
	_, err := sentryscrub.Configure(&o, newScrubber(t))
	require.NoError(t, err)
	hub := newHub(t, o)
	build := func() (sentry.Context, map[string]any) {
		inner := map[string]any{"mail": "ann@example.com", "list": []any{"bob@example.com", 7}}
		return sentry.Context{"inner": inner, "password": "hunter2"}, map[string]any{"to": "ann@example.com"}
	}
	ctx, data := build()
	crumb := &sentry.Breadcrumb{Message: "to ann@example.com", Data: data}
	hub.Scope().SetContext("c", ctx)
	hub.Scope().AddBreadcrumb(crumb, 5)
	hub.CaptureMessage("hello")
	hub.Flush(5 * time.Second)
	wantCtx, wantData := build()
	require.True(t, reflect.DeepEqual(wantCtx, ctx))
	require.True(t, reflect.DeepEqual(wantData, data))
	require.Equal(t, "to ann@example.com", crumb.Message)
	require.Contains(t, w.all(), "hello")
	require.NotContains(t, w.all(), "example.com")
}

// TestSharedScopes lets 100 goroutines share scopes, breadcrumbs and maps.
// It is run with the race detector.
func TestSharedScopes(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	o := w.options()
	_, err := sentryscrub.Configure(&o, newScrubber(t))
	require.NoError(t, err)
	hub := newHub(t, o)
	shared := sentry.Context{"mail": "ann@example.com", "deep": map[string]any{"k": "bob@example.com"}}
	hub.Scope().SetContext("shared", shared)
	hub.Scope().AddBreadcrumb(&sentry.Breadcrumb{Message: "ann@example.com", Data: map[string]any{"a": "ann@example.com"}}, 50)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			local := hub.Clone()
			local.Scope().SetTag("n", fmt.Sprint(i))
			local.AddBreadcrumb(&sentry.Breadcrumb{Message: fmt.Sprintf("u%d@example.com", i)}, nil)
			local.CaptureMessage(fmt.Sprintf("from u%d@example.com", i))
			ctx := sentry.SetHubOnContext(context.Background(), local)
			tx := sentry.StartTransaction(ctx, "t")
			tx.SetData("mail", "ann@example.com")
			tx.Finish()
		})
	}
	wg.Wait()
	hub.Flush(10 * time.Second)
	require.NotContains(t, w.all(), "example.com")
	require.Contains(t, w.all(), "from [email]")
}

func TestDebugOutput(t *testing.T) {
	w := newWire(t)
	o := w.options()
	var out bytes.Buffer
	o.Debug, o.DebugWriter = true, &out
	_, err := sentryscrub.Configure(&o, newScrubber(t))
	require.NoError(t, err)
	_, err = o.DebugWriter.Write([]byte("sending ann@example.com\n"))
	require.NoError(t, err)
	require.Equal(t, "sending [email]\n", out.String())
}

func TestPersonalDataIsOff(t *testing.T) {
	t.Parallel()
	o := sentry.ClientOptions{DataCollection: &sentry.DataCollection{UserInfo: sentry.Set(true)}}
	//lint:ignore SA1019 applications still set it
	o.SendDefaultPII = true
	_, err := sentryscrub.Configure(&o, newScrubber(t))
	require.NoError(t, err)
	//lint:ignore SA1019 it must be off
	require.False(t, o.SendDefaultPII)
	require.Equal(t, sentry.Set(false), o.DataCollection.UserInfo)
	require.Equal(t, sentry.CollectionOff, o.DataCollection.Cookies.Mode)
	require.Equal(t, sentry.CollectionOff, o.DataCollection.QueryParams.Mode)
	require.NotNil(t, o.DataCollection.HTTPBodies, "nil would mean every body")
	require.Empty(t, o.DataCollection.HTTPBodies)
}

// TestUserIsRemoved checks what no detector can recognise: names.
func TestUserIsRemoved(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	o := w.options()
	_, err := sentryscrub.Configure(&o, newScrubber(t))
	require.NoError(t, err)
	hub := newHub(t, o)
	hub.Scope().SetUser(sentry.User{
		ID: "user-17", Name: "Ann Lee", Username: "annlee", Data: map[string]string{"nick": "annie"},
	})
	ctx := sentry.SetHubOnContext(t.Context(), hub)
	hub.CaptureMessage("hello")
	sentry.NewLogger(ctx).Info().WithCtx(ctx).Emit("log")
	sentry.NewMeter(ctx).Count("n", 1)
	hub.Flush(5 * time.Second)
	require.Contains(t, w.all(), "user-17")
	for _, name := range []string{"Ann Lee", "annlee", "annie"} {
		require.NotContains(t, w.all(), name)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestDSNStays checks that the address of the project, which looks like an
// email address, survives the second wall, and a secret key does not.
func TestDSNStays(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ dsn, want string }{
		{"https://0123456789abcdef@o1.ingest.example.io/17", `"dsn":"https://0123456789abcdef@o1.ingest.example.io/17"`},
		{"https://0123456789abcdef:s3cr3t@o1.ingest.example.io/17", `"message":"hello"`},
	} {
		var mu sync.Mutex
		var sent bytes.Buffer
		o := sentry.ClientOptions{Dsn: tt.dsn, HTTPTransport: roundTrip(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			_, _ = sent.ReadFrom(r.Body)
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
		})}
		_, err := sentryscrub.Configure(&o, newScrubber(t))
		require.NoError(t, err)
		hub := newHub(t, o)
		hub.CaptureMessage("hello")
		hub.Flush(5 * time.Second)
		mu.Lock()
		require.Contains(t, sent.String(), tt.want)
		require.NotContains(t, sent.String(), "s3cr3t")
		mu.Unlock()
	}
}
