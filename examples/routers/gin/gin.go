// Package gin mounts the gates in Gin.
package gin

import (
	"bufio"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"
)

// Middleware mounts a gate, as in
//
//	r.POST("/sites/:site/calls", gin.Middleware(gate.Wrap), handler)
//
// Gin has no handler to call: the chain goes on inside the gate by c.Next, with
// the gate's request and a writer that passes through the gate's. When the gate
// did not call on, the chain is aborted; without that Gin runs the handler after
// the refusal.
func Middleware(gate func(http.Handler) http.Handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		for _, p := range c.Params {
			c.Request.SetPathValue(p.Key, p.Value)
		}
		passed := false
		outer := c.Writer
		gate(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			passed = true
			rw := &writer{ResponseWriter: outer, through: w, status: http.StatusOK, size: -1}
			c.Request, c.Writer = r, rw
			c.Next()
			// Gin writes the header of an answer without a body after the whole chain;
			// the gate must see the status before it returns.
			rw.WriteHeaderNow()
		})).ServeHTTP(outer, c.Request)
		c.Writer = outer
		if !passed {
			c.Abort()
		}
	}
}

// writer is Gin's response writer with every byte going through the gate's.
type writer struct {
	gin.ResponseWriter
	through http.ResponseWriter
	status  int
	size    int // -1 until the header is out
}

func (w *writer) Header() http.Header { return w.through.Header() }

// WriteHeader notes the status, as Gin's own writer does.
func (w *writer) WriteHeader(status int) {
	if status > 0 && !w.Written() {
		w.status = status
	}
}

func (w *writer) WriteHeaderNow() {
	if !w.Written() {
		w.size = 0
		w.through.WriteHeader(w.status)
	}
}

func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeaderNow()
	n, err := w.through.Write(p)
	w.size += n
	return n, err
}

func (w *writer) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

func (w *writer) Flush() {
	w.WriteHeaderNow()
	_ = http.NewResponseController(w.through).Flush()
}

func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.through).Hijack()
}

func (w *writer) Status() int                 { return w.status }
func (w *writer) Size() int                   { return w.size }
func (w *writer) Written() bool               { return w.size >= 0 }
func (w *writer) Unwrap() http.ResponseWriter { return w.through }
