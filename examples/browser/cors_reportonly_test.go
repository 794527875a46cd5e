package browser

import (
	"context"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/cors"
	"github.com/stretchr/testify/require"
)

// ownCORS is a service that has done its own CORS for years: any page may send
// credentialed PUTs.
func ownCORS(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	h.Set("Access-Control-Allow-Credentials", "true")
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", "PUT")
		h.Set("Access-Control-Allow-Headers", "X-Ops-Ts")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: "seen", Value: "1"})
}

// TestReportOnlyChangesNothingInChromium: a page that works before the gate is
// put in front works after it, whether the service behind is in the process or
// behind a proxy. An enforcing gate adds a second Access-Control-Allow-Origin to
// the proxied answer, and the page breaks: that is what ReportOnly must not do.
func TestReportOnlyChangesNothingInChromium(t *testing.T) {
	tab := corsTab(t)
	upstream, startUpstream := corsHost(t, "127.0.0.1")
	startUpstream(http.HandlerFunc(ownCORS))
	target, err := url.Parse(upstream)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	pageOrigin, startPage := corsHost(t, "127.0.0.1")
	startPage(http.HandlerFunc(page))

	for _, test := range []struct {
		name       string
		behind     http.Handler
		reportOnly bool
		result     string
	}{
		{"own CORS, reporting", http.HandlerFunc(ownCORS), true, "200"},
		{"proxied, reporting", proxy, true, "200"},
		{"proxied, enforcing", proxy, false, "failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var mu sync.Mutex
			var codes []string
			gate, err := cors.New(cors.Config{
				Origins: []string{pageOrigin}, OwnOrigins: []string{"none"}, ReportOnly: test.reportOnly,
				Methods: []string{"PUT"}, Credentials: true,
				RequestHeaders: []string{"X-Other"}, // not the one that the page sends
				OnEvent: func(_ context.Context, e sallyport.Event) {
					mu.Lock()
					defer mu.Unlock()
					codes = append(codes, e.Request.Method+" "+e.Code)
				},
			})
			require.NoError(t, err)
			api, startAPI := corsHost(t, "localhost")
			startAPI(gate.Wrap(test.behind))
			require.NoError(t, chromedp.Do(tab, chromedp.Navigate(pageOrigin+"/page")))
			script := `fetch(URL, {method: "PUT", credentials: "include", headers: {"X-Ops-Ts": "1"}})
				.then(r => "" + r.status, () => "failed")`
			if !test.reportOnly {
				script = `fetch(URL, {method: "POST", credentials: "include"})
					.then(r => "" + r.status, () => "failed")`
			}
			result, err := chromedp.Run(tab, chromedp.Evaluate[string](
				"const URL = '"+api+"/orders'; "+script, chromedp.EvalAwaitPromise))
			require.NoError(t, err)
			require.Equal(t, test.result, result)
			mu.Lock()
			defer mu.Unlock()
			if test.reportOnly {
				require.Equal(t, []string{"OPTIONS header_not_listed", "PUT origin_listed"}, codes)
			}
		})
	}
}
