package gatetest

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// trial is one fresh server under one attack on one route.
type trial struct {
	tb     *attempt
	suite  *Suite
	route  *Route // as the first user asks
	server http.Handler
	listen *httptest.Server // with Suite.Loopback
	log    *journal
	users  [2]func(*http.Request)

	signIn   SignIn // of the first of users
	declared *Route // as it is in the suite
	tenants  []Tenant
	members  [][]func(*http.Request) // by tenant
	roams    bool                    // each request from another address
	sent     int                     // requests that roamed
	campaign *campaign
}

func newTrial(tb testing.TB, s *Suite, route *Route) *trial {
	tb.Helper()
	t := &trial{tb: &attempt{TB: tb}, suite: s, route: route, declared: route, log: &journal{}}
	t.server = s.New(t.tb, t.log)
	t.signIn = s.SignIn[0]
	for i, signIn := range s.SignIn {
		t.users[i] = t.lazily(signIn)
	}
	t.settle()
	if s.Loopback {
		t.listen = httptest.NewServer(t.server)
	}
	return t
}

func (t *trial) close() {
	if t.listen != nil {
		t.listen.Close()
	}
	for _, f := range slices.Backward(t.tb.cleanups) {
		f()
	}
}

// attempt is the test as a server sees it: its cleanups run when the attack is
// over, not when hundreds of servers have piled up.
type attempt struct {
	testing.TB
	mu       sync.Mutex
	cleanups []func()
}

func (a *attempt) Cleanup(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cleanups = append(a.cleanups, f)
}

// journal is an access log that may be written while it is read.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// draft is a request that is not signed yet.
type draft struct {
	*http.Request
	body []byte
	at   time.Time // when it is signed
}

// draft returns the genuine request of the route, as the first user makes it.
func (t *trial) draft() *draft { return t.draftOf(t.users[0]) }

func (t *trial) draftOf(user func(*http.Request)) *draft { return t.draftAs(t.route, user) }

// draftAs returns the request of a route whose holes are filled.
func (t *trial) draftAs(route *Route, user func(*http.Request)) *draft {
	method, target := route.line()
	d := &draft{newRequest(method, target), []byte(route.Body), time.Now()}
	for name, values := range route.Header {
		d.Header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	if len(d.body) > 0 && d.Header.Get("Content-Type") == "" {
		d.Header.Set("Content-Type", "application/json")
	}
	switch {
	case route.Browser:
		d.Header.Set("Origin", t.suite.Listed)
		d.fetchSite("cross-site")
	case route.Sign == nil && t.suite.Own != "":
		d.fetchSite("same-origin")
		if method != http.MethodGet && method != http.MethodHead {
			d.Header.Set("Origin", t.suite.Own) // as browsers do
		}
	}
	if own, err := url.Parse(t.suite.Own); err == nil && own.Host != "" {
		d.Host = own.Host
	}
	if !route.Public {
		user(d.Request)
	}
	return d
}

// newRequest is a request as a server gets it: gates that sign or log what came
// over the wire read RequestURI.
func newRequest(method, target string) *http.Request {
	r, err := http.NewRequest(method, "http://server.invalid"+target, http.NoBody)
	if err != nil {
		panic("gatetest: " + err.Error()) // Suite.problems has looked at it
	}
	r.RequestURI = target
	r.RemoteAddr = "203.0.113.7:40000" // RFC 5737: nobody's address
	return r
}

// fetchSite says what browsers say of every request since 2023
// (https://www.w3.org/TR/fetch-metadata/).
func (d *draft) fetchSite(site string) {
	d.Header.Set("Sec-Fetch-Site", site)
	d.Header.Set("Sec-Fetch-Mode", "cors")
	d.Header.Set("Sec-Fetch-Dest", "empty")
}

// retarget asks for something else.
func (d *draft) retarget(target string) {
	again := newRequest(d.Method, target)
	d.URL, d.RequestURI = again.URL, again.RequestURI
}

// sign signs the draft, if the route asks for signatures.
func (t *trial) sign(d *draft) {
	t.tb.Helper()
	d.fill(d.body)
	if t.route.Sign == nil {
		return
	}
	if err := t.route.Sign(d.Request, d.body, d.at); err != nil {
		t.tb.Fatalf("gatetest: %s: Route.Sign: %v", t.route.Pattern, err)
	}
	d.fill(d.body) // a signer may have read it
}

// fill gives the request a body to read, once more if it was read.
func (d *draft) fill(body []byte) {
	d.Body, d.ContentLength = http.NoBody, 0
	if len(body) > 0 {
		d.Body, d.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
}

// answer is what came back.
type answer struct {
	status   int
	header   http.Header
	body     []byte
	code     string
	panicked any
}

// genuine signs the draft and sends it.
func (t *trial) genuine(d *draft) answer {
	t.tb.Helper()
	t.sign(d)
	return t.send(d.Request)
}

// send sends a request as it is.
func (t *trial) send(r *http.Request) (got answer) {
	t.tb.Helper()
	if t.listen != nil {
		got = t.sendOver(r)
	} else {
		got = t.call(r)
	}
	read := t.suite.Code
	if read == nil {
		read = problemCode
	}
	got.code = read(got.status, got.header, got.body)
	return got
}

func problemCode(_ int, _ http.Header, body []byte) string {
	var problem struct{ Code string }
	if json.Unmarshal(body, &problem) != nil {
		return ""
	}
	return problem.Code
}

// call calls the handler. A panic is no answer, and no refusal.
func (t *trial) call(r *http.Request) (got answer) {
	rec := httptest.NewRecorder()
	defer func() {
		if got.panicked = recover(); got.panicked == nil {
			got.status, got.header, got.body = rec.Code, rec.Header(), rec.Body.Bytes()
		}
	}()
	t.server.ServeHTTP(rec, r)
	return got
}

// sendOver sends the request to the listener, and reads what comes back even if
// the server has not read the body to its end.
func (t *trial) sendOver(r *http.Request) answer {
	t.tb.Helper()
	out := r.Clone(r.Context())
	out.RequestURI = ""
	out.Host = r.Host
	base, err := url.Parse(t.listen.URL)
	if err != nil {
		t.tb.Fatal(err)
	}
	out.URL.Scheme, out.URL.Host = base.Scheme, base.Host
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       time.Minute,
	}
	resp, err := client.Do(out)
	if err != nil {
		return answer{panicked: err} // the connection ended without an answer
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return answer{status: resp.StatusCode, header: resp.Header, body: body}
}

// String is what a finding says of an answer.
func (a answer) String() string {
	switch {
	case a.panicked != nil:
		return fmt.Sprintf("no answer: %v", a.panicked)
	case a.code != "":
		return fmt.Sprintf("%d %s", a.status, a.code)
	}
	return fmt.Sprintf("%d without a code", a.status)
}

// accepted reports whether the answer is one to a genuine request.
func (t *trial) accepted(a answer) bool {
	if a.panicked != nil {
		return false
	}
	if len(t.route.Status) > 0 {
		return slices.Contains(t.route.Status, a.status)
	}
	return a.status >= 200 && a.status < 300
}

// refused reports whether the answer is a refusal with one of the codes.
func (t *trial) refused(a answer, codes []string) bool {
	if a.panicked != nil || a.status < 400 && !t.translates(a.code) {
		return false
	}
	for _, code := range append(slices.Clone(t.suite.Codes[a.code]), a.code) {
		if slices.Contains(codes, code) {
			return true
		}
	}
	return false
}

// translates reports whether a code is the server's own word for a refusal. A
// webhook's replay is often answered with 200, so that the sender stops.
func (t *trial) translates(code string) bool { return len(t.suite.Codes[code]) > 0 }

// canary is a value that must not turn up anywhere else.
func canary(kind string) string { return kind + "-" + strings.ToLower(rand.Text()) }
