package server

import (
	"net/http"
	"slices"
	"strings"

	"github.com/opsmantik/sallyport/examples/ingest/gates"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
)

// table is a part of the routes that stands behind the same gates. A path that
// is asked with another method is answered 405, behind the same gates too.
type table struct {
	front    []gates.Gate
	handlers map[string]http.Handler // by "METHOD path"
	methods  map[string][]string     // by path
}

func newTable(front ...gates.Gate) *table {
	return &table{front, map[string]http.Handler{}, map[string][]string{}}
}

// handle puts h behind the table's gates, and behind more inside them.
func (t *table) handle(pattern string, h http.Handler, more ...gates.Gate) {
	method, path, _ := strings.Cut(pattern, " ")
	t.handlers[pattern] = gates.Behind(gates.Behind(h, more...), t.front...)
	t.methods[path] = append(t.methods[path], method)
}

func (t *table) mount(mux *http.ServeMux) {
	for pattern, h := range t.handlers {
		mux.Handle(pattern, h)
	}
	for path, methods := range t.methods {
		if slices.Contains(methods, http.MethodGet) {
			methods = append(methods, http.MethodHead) // as ServeMux has it
		}
		slices.Sort(methods)
		mux.Handle(path, gates.Behind(notAllowed(strings.Join(methods, ", ")), t.front...))
	}
}

// codeMethod: 405. The path is there, for other methods: Allow names them.
const codeMethod = "method_not_allowed"

// notAllowed answers a method that the path does not have (RFC 9110 section
// 15.5.6).
func notAllowed(allow string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", allow)
		reply.Problem(w, http.StatusMethodNotAllowed, codeMethod, "Not with this method")
	})
}
