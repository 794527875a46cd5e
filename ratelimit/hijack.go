package ratelimit

import (
	"bufio"
	"net"
	"sync"

	"github.com/opsmantik/sallyport/internal/response"
)

// hijackable notices that the handler took the connection over.
type hijackable struct {
	*response.Writer
	release func()
	taken   bool
}

// Hijack implements http.Hijacker. Whoever closes the connection gives the place
// back.
func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := h.Writer.Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.taken = true
	return &heldConn{Conn: conn, release: sync.OnceFunc(h.release)}, rw, nil
}

// end gives the place back, unless the connection lives on.
func (h *hijackable) end() {
	if !h.taken {
		h.release()
	}
}

// heldConn is a connection that holds a place.
type heldConn struct {
	net.Conn
	release func()
}

// Close closes the connection and gives the place back.
func (c *heldConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
