package sentryscrub

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"github.com/getsentry/sentry-go"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
	"github.com/opsmantik/sallyport/scrub"
)

// Configure sets up o so that everything the SDK sends is scrubbed by s. It
// must be the last to change o before sentry.Init or sentry.NewClient. It
// refuses options without a place for the second wall: a custom Transport.
func Configure(o *sentry.ClientOptions, s *scrub.Scrubber) (*Guard, error) {
	problems := configerr.For("sentryscrub")
	if o == nil {
		problems.Add("ClientOptions", "", sallyport.ConfigRequired, "is nil")
	}
	if s == nil {
		problems.Add("Scrubber", "", sallyport.ConfigRequired, "is nil")
	}
	if o != nil && o.Transport != nil {
		problems.Add("ClientOptions.Transport", "", sallyport.ConfigInsecure,
			"would send past the second wall; set HTTPTransport or HTTPClient")
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	g := &Guard{s: s}
	collectNothing(o)
	g.hook(o)
	o.HTTPClient = g.client(o)
	o.HTTPTransport = nil
	if o.Debug {
		out := o.DebugWriter
		if out == nil {
			out = os.Stderr
		}
		o.DebugWriter = &debugWriter{s: s, w: out}
	}
	return g, nil
}

// Guard counts what the walls dropped. It is safe for concurrent use.
type Guard struct {
	s       *scrub.Scrubber
	dropped atomic.Uint64
}

// Dropped returns the number of payloads that were not sent because they
// could not be made safe. Export it as a metric: it should stay zero.
func (g *Guard) Dropped() uint64 { return g.dropped.Load() }

// collectNothing turns personal data off in the old option and in the one
// that overrides it.
func collectNothing(o *sentry.ClientOptions) {
	off := func() *sentry.KeyValueCollectionBehavior {
		return &sentry.KeyValueCollectionBehavior{Mode: sentry.CollectionOff}
	}
	//lint:ignore SA1019 applications still set it
	o.SendDefaultPII = false
	o.DataCollection = &sentry.DataCollection{
		UserInfo:    sentry.Set(false),
		Cookies:     off(),
		QueryParams: off(),
		HTTPBodies:  []sentry.BodyType{},
		// Headers are kept as context for debugging: the first wall removes
		// what is denied or detected in them.
		HTTPHeaders: &sentry.HeaderCollectionConfig{
			Request:  &sentry.KeyValueCollectionBehavior{},
			Response: &sentry.KeyValueCollectionBehavior{},
		},
	}
}

// hook chains the application's hooks in front of ours.
func (g *Guard) hook(o *sentry.ClientOptions) {
	event, transaction := o.BeforeSend, o.BeforeSendTransaction
	o.BeforeSend = func(e *sentry.Event, hint *sentry.EventHint) *sentry.Event {
		return guarded(g, e, func(e *sentry.Event) *sentry.Event {
			if event != nil {
				e = event(e, hint)
			}
			return e
		}, (*pass).event)
	}
	o.BeforeSendTransaction = func(e *sentry.Event, hint *sentry.EventHint) *sentry.Event {
		return guarded(g, e, func(e *sentry.Event) *sentry.Event {
			if transaction != nil {
				e = transaction(e, hint)
			}
			return e
		}, (*pass).event)
	}
	crumb := o.BeforeBreadcrumb
	o.BeforeBreadcrumb = func(b *sentry.Breadcrumb, hint *sentry.BreadcrumbHint) *sentry.Breadcrumb {
		return guarded(g, b, func(b *sentry.Breadcrumb) *sentry.Breadcrumb {
			if crumb != nil {
				b = crumb(b, hint)
			}
			return b
		}, (*pass).breadcrumb)
	}
	log, metric := o.BeforeSendLog, o.BeforeSendMetric
	o.BeforeSendLog = func(l *sentry.Log) *sentry.Log { return guarded(g, l, log, (*pass).log) }
	o.BeforeSendMetric = func(m *sentry.Metric) *sentry.Metric {
		return guarded(g, m, metric, (*pass).metric)
	}
}

// guarded runs the application's hook and then ours. Whatever goes wrong, the
// payload is dropped and counted: the SDK would let a panic reach the
// application, and its caller would not know what was sent.
func guarded[T any](g *Guard, v *T, before func(*T) *T, rebuild func(*pass, *T) *T) (clean *T) {
	defer func() {
		if recover() != nil {
			g.dropped.Add(1)
			clean = nil
		}
	}()
	if before != nil {
		v = before(v)
	}
	if v == nil {
		return nil // the application's own decision
	}
	p := &pass{s: g.s}
	clean = rebuild(p, v)
	if p.failed || clean == nil {
		g.dropped.Add(1)
		return nil
	}
	return clean
}

// client returns the HTTP client with the second wall in front of the
// transport that the options describe.
func (g *Guard) client(o *sentry.ClientOptions) *http.Client {
	client := &http.Client{Timeout: 30 * time.Second}
	var base http.RoundTripper
	switch {
	case o.HTTPClient != nil:
		*client = *o.HTTPClient
		base = o.HTTPClient.Transport
	case o.HTTPTransport != nil:
		base = o.HTTPTransport
	default:
		base = &http.Transport{
			Proxy:           proxy(o),
			TLSClientConfig: &tls.Config{RootCAs: o.CaCerts, MinVersion: tls.VersionTLS12},
		}
	}
	if base == nil {
		base = http.DefaultTransport
	}
	client.Transport = &wall{g: g, next: base}
	return client
}

// proxy reads the proxy options as the SDK does: HTTPSProxy wins.
func proxy(o *sentry.ClientOptions) func(*http.Request) (*url.URL, error) {
	for _, address := range [...]string{o.HTTPSProxy, o.HTTPProxy} {
		if address != "" {
			return func(*http.Request) (*url.URL, error) { return url.Parse(address) }
		}
	}
	return http.ProxyFromEnvironment
}

// debugWriter scrubs the SDK's diagnostics, which come in whole lines.
type debugWriter struct {
	s *scrub.Scrubber
	w io.Writer
}

func (d *debugWriter) Write(p []byte) (int, error) {
	clean, _ := d.s.Append(nil, p)
	if _, err := d.w.Write(clean); err != nil {
		return 0, err
	}
	return len(p), nil
}
