package adaptertest_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opsmantik/sallyport/tools/gatetest/adaptertest"
	"github.com/stretchr/testify/require"
)

type middleware = func(http.Handler) http.Handler

func handle(w http.ResponseWriter, r *http.Request) {
	answer := adaptertest.Handle(r)
	if answer.Failed {
		http.Error(w, "failed", answer.Status)
		return
	}
	w.WriteHeader(answer.Status)
	fmt.Fprint(w, answer.Body)
}

func Example() {
	mount := func(gate func(http.Handler) http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("POST /adapter/{site}", gate(http.HandlerFunc(handle)))
		return mux
	}
	fmt.Println(len(adaptertest.Check(mount)), "problems")
	// Output: 0 problems
}

// A gate around the whole mux runs before the route is known.
func Example_incorrect() {
	mount := func(gate func(http.Handler) http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.HandleFunc("POST /adapter/{site}", handle)
		return gate(mux)
	}
	for _, problem := range adaptertest.Check(mount) {
		fmt.Println(problem[:40])
	}
	// Output:
	// success: the gate saw the path value sit
	// error: the gate saw the path value site
}

// on mounts a shim on a route, so that path values are there.
func on(shim func(gate middleware, w http.ResponseWriter, r *http.Request)) func(middleware) http.Handler {
	return func(gate middleware) http.Handler {
		mux := http.NewServeMux()
		mux.HandleFunc("POST /adapter/{site}", func(w http.ResponseWriter, r *http.Request) {
			shim(gate, w, r)
		})
		return mux
	}
}

// TestBrokenShimsAreFound has a row for each way in which shims were seen to fail.
func TestBrokenShimsAreFound(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		shim func(gate middleware, w http.ResponseWriter, r *http.Request)
		want []string // what each problem contains
	}{
		{"right", func(gate middleware, w http.ResponseWriter, r *http.Request) {
			gate(http.HandlerFunc(handle)).ServeHTTP(w, r)
		}, nil},
		{"goes on after a refusal", func(gate middleware, w http.ResponseWriter, r *http.Request) {
			inner := r
			gate(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { inner = r })).
				ServeHTTP(httptest.NewRecorder(), r)
			handle(w, inner)
		}, []string{
			"success: the gate saw 200", "success: the cookie", "error: the gate saw 200",
			"error: the cookie", "refuse: the handler ran", "refuse: the gate answered 429",
		}},
		{"runs the handler unseen after a refusal", func(
			gate middleware, w http.ResponseWriter, r *http.Request,
		) {
			passed := false
			gate(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				passed = true
				handle(w, r)
			})).ServeHTTP(w, r)
			if !passed {
				handle(httptest.NewRecorder(), r)
			}
		}, []string{"refuse: the handler ran after the gate had refused"}},
		{"keeps the old request", func(gate middleware, w http.ResponseWriter, r *http.Request) {
			gate(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { handle(w, r) })).
				ServeHTTP(w, r)
		}, []string{"success: the handler ran 0 times", "error: the handler ran 0 times"}},
		{"keeps the old body", func(gate middleware, w http.ResponseWriter, r *http.Request) {
			body := r.Body
			gate(http.HandlerFunc(func(w http.ResponseWriter, inner *http.Request) {
				inner.Body = body
				handle(w, inner)
			})).ServeHTTP(w, r)
		}, []string{`success: the handler read "as it was sent"`, `error: the handler read`}},
		{"renders the error late", func(gate middleware, w http.ResponseWriter, r *http.Request) {
			var late int
			gate(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				answer := adaptertest.Handle(r)
				if answer.Failed {
					late = answer.Status
					return
				}
				w.WriteHeader(answer.Status)
				fmt.Fprint(w, answer.Body)
			})).ServeHTTP(w, r)
			if late != 0 {
				w.WriteHeader(late)
			}
		}, []string{"error: the gate saw 200 where the client got 503", "error: the cookie"}},
		{"buffers the answer", func(gate middleware, w http.ResponseWriter, r *http.Request) {
			var inner *httptest.ResponseRecorder
			gate(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				inner = httptest.NewRecorder()
				handle(inner, r)
			})).ServeHTTP(w, r)
			if inner != nil {
				w.WriteHeader(inner.Code)
				_, _ = w.Write(bytes.TrimSpace(inner.Body.Bytes()))
			}
		}, []string{
			"success: the gate saw 200", "success: the cookie", "error: the gate saw 200",
			"error: the cookie",
		}},
		{"runs the handler twice", func(gate middleware, w http.ResponseWriter, r *http.Request) {
			gate(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				handle(httptest.NewRecorder(), r)
				handle(w, r)
			})).ServeHTTP(w, r)
		}, []string{"success: the handler ran 2 times", "error: the handler ran 2 times"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := adaptertest.Check(on(row.shim))
			require.Len(t, got, len(row.want), strings.Join(got, "\n"))
			for i, want := range row.want {
				require.Contains(t, got[i], want)
			}
		})
	}
}
