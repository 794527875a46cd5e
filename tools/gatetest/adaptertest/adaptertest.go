// Package adaptertest checks the few lines that mount a func(http.Handler)
// http.Handler in a web framework.
//
// A gate sees more of a request than most middleware: it hands the handler
// another request (its context holds what was proved, its body was read and put
// back), it sets cookies at the moment the header leaves, and it decides by the
// final status whether a signed message took effect. Shims that are good enough
// for logging fail in one of these. They call the handler after a refusal, lose
// the cookie, or render an error after the gate has returned, so that the gate
// saw success where the client got 503.
//
// Mount one route, POST /adapter/{site}, behind a middleware, and answer it as
// your handlers do:
//
//	func TestShim(t *testing.T) {
//		adaptertest.Run(t, func(gate func(http.Handler) http.Handler) http.Handler {
//			e := echo.New()
//			e.POST("/adapter/:site", func(c echo.Context) error {
//				answer := adaptertest.Handle(c.Request())
//				if answer.Failed {
//					return echo.NewHTTPError(answer.Status)
//				}
//				return c.String(answer.Status, answer.Body)
//			}, yourShim(gate))
//			return e
//		})
//	}
//
// examples/routers has the lines for nine frameworks.
package adaptertest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// T is what the check needs of a *testing.T.
type T interface {
	Helper()
	Errorf(format string, args ...any)
}

var _ T = (*testing.T)(nil)

// Answer is what the handler under test shall answer.
type Answer struct {
	// Failed: answer with Status the way your framework answers an error, such as
	// a returned one. Otherwise write Status and Body.
	Failed bool
	Status int
	Body   string
}

type contextKey struct{}

// serverKey is for the check that the server's own context holds: it finds handlers
// that run without what the gate gave them.
type serverKey struct{}

// visit is one request's way through the gate and the handler.
type visit struct {
	mode    string
	ran     int    // times the handler ran
	strayed int    // times it ran without what the gate gave it
	body    string // what it read
	site    string // the path value as the gate saw it
	seen    int    // the status as the gate saw it, before next returned
}

const (
	modeHeader = "Adapter-Mode"
	original   = "as it was sent"
	restored   = "as the gate put it back"
)

// Handle is called by the handler under test, once, with its *http.Request.
func Handle(r *http.Request) Answer {
	answer, ok := r.Context().Value(contextKey{}).(func(*http.Request) Answer)
	if !ok {
		if c, ok := r.Context().Value(serverKey{}).(*check); ok {
			c.visit.strayed++
		}
		return Answer{Status: http.StatusInternalServerError, Body: "the gate's context is lost"}
	}
	return answer(r)
}

// With returns a context in which Handle calls answer: for tests of one's own, in
// which a gate stands where Run has its probe.
func With(ctx context.Context, answer func(*http.Request) Answer) context.Context {
	return context.WithValue(ctx, contextKey{}, answer)
}

// answer is what the handler does in the visit.
func (v *visit) answer(r *http.Request) Answer {
	v.ran++
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<10))
	v.body = string(body)
	if err != nil {
		v.body = err.Error()
	}
	if v.mode == "error" {
		return Answer{Failed: true, Status: http.StatusServiceUnavailable}
	}
	return Answer{Status: http.StatusCreated, Body: "done"}
}

// Run checks a mounted route. Mount returns your framework's handler with gate
// around POST /adapter/{site}.
func Run(t T, mount func(gate func(http.Handler) http.Handler) http.Handler) {
	t.Helper()
	for _, problem := range Check(mount) {
		t.Errorf("%s", problem)
	}
}

// Check is Run for a program: it returns what is wrong.
func Check(mount func(gate func(http.Handler) http.Handler) http.Handler) []string {
	c := &check{}
	server := httptest.NewUnstartedServer(mount(c.gate))
	server.Config.BaseContext = func(net.Listener) context.Context {
		return context.WithValue(context.Background(), serverKey{}, c)
	}
	server.Start()
	defer server.Close()
	for _, mode := range []string{"success", "error", "refuse"} {
		c.visit = &visit{mode: mode}
		c.ask(server, mode)
	}
	return c.problems
}

type check struct {
	visit    *visit
	problems []string
}

func (c *check) report(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// gate does what the gates of this module do, and notes what it sees.
func (c *check) gate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := c.visit
		v.site = r.PathValue("site")
		if v.mode == "refuse" {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, "refused")
			return
		}
		inner := r.WithContext(With(r.Context(), v.answer))
		inner.Body = io.NopCloser(strings.NewReader(restored))
		inner.ContentLength = int64(len(restored))
		rw := &writer{ResponseWriter: w}
		next.ServeHTTP(rw, inner)
		if rw.status == 0 {
			rw.status = http.StatusOK // what net/http makes of silence
		}
		v.seen = rw.status
	})
}

// writer commits as a session does: with a cookie, when the header leaves.
type writer struct {
	http.ResponseWriter
	status int
}

func (w *writer) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
		w.Header().Set("Set-Cookie", "adapter=kept")
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush, for frameworks that ask for an http.Flusher.
func (w *writer) Flush() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// ask sends the request of one mode and judges what came of it.
func (c *check) ask(server *httptest.Server, mode string) {
	request, err := http.NewRequest(http.MethodPost, server.URL+"/adapter/north",
		strings.NewReader(original))
	if err != nil {
		c.report("%s: %v", mode, err)
		return
	}
	request.Header.Set(modeHeader, mode)
	response, err := server.Client().Do(request)
	if err != nil {
		c.report("%s: no answer: %v", mode, err)
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		c.report("%s: %v", mode, err)
	}
	if mode == "refuse" {
		c.refused(response, string(body))
		return
	}
	c.answered(mode, response, string(body))
}

func (c *check) refused(response *http.Response, body string) {
	if c.visit.ran+c.visit.strayed != 0 {
		c.report("refuse: the handler ran after the gate had refused")
	}
	if response.StatusCode != http.StatusTooManyRequests || body != "refused" ||
		response.Header.Get("Retry-After") != "7" {
		c.report("refuse: the gate answered 429 with Retry-After, the client got %d %q",
			response.StatusCode, body)
	}
}

func (c *check) answered(mode string, response *http.Response, body string) {
	v, want := c.visit, http.StatusCreated
	if mode == "error" {
		want = http.StatusServiceUnavailable
	}
	if v.ran != 1 {
		c.report("%s: the handler ran %d times, or without the gate's context", mode, v.ran)
		return
	}
	if response.StatusCode != want {
		c.report("%s: the client got %d, want %d", mode, response.StatusCode, want)
	}
	if v.seen != response.StatusCode {
		c.report("%s: the gate saw %d where the client got %d: the answer is written after "+
			"the gate has returned, so a signed message is settled wrongly", mode, v.seen,
			response.StatusCode)
	}
	if response.Header.Get("Set-Cookie") != "adapter=kept" {
		c.report("%s: the cookie that the gate set when the header left is lost", mode)
	}
	if v.body != restored {
		c.report("%s: the handler read %q, not the body that the gate put back", mode, v.body)
	}
	if v.site != "north" {
		c.report("%s: the gate saw the path value site = %q: tenancy.FromPath finds nothing; mount "+
			"the gate on the route, or set it by Request.SetPathValue", mode, v.site)
	}
	if mode == "success" && body != "done" {
		c.report("%s: the client got the body %q", mode, body)
	}
}
