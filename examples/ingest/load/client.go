package load

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// answerLimit is how long a client waits for an answer.
const answerLimit = 20 * time.Second

// client is one visitor's browser after the other, at one address.
type client struct {
	*run
	dialer  net.Dialer
	mu      sync.Mutex
	conn    net.Conn
	ended   bool
	reader  *bufio.Reader
	latency *hdrhistogram.Histogram
	answers map[string]int

	request []byte
	body    []byte
	late    []sent // batches to repeat
	signed  []sent // accepted calls, to replay
}

// sent is a request that can be sent again.
type sent struct {
	request []byte
	at      time.Time
}

// remembered is how many requests of each sort a client keeps.
const remembered = 8

func newClient(r *run, number int) *client {
	c := &client{run: r, latency: newHistogram(), answers: map[string]int{}}
	if runtime.GOOS == "linux" { // elsewhere 127.0.0.1 is the only address
		from := net.IPv4(127, 0, byte(1+number/250), byte(1+number%250))
		c.dialer.LocalAddr = &net.TCPAddr{IP: from}
	}
	return c
}

// send sends a request and returns the status of its answer, 0 without one.
func (c *client) send(ctx context.Context, kind string, request []byte) int {
	status := c.exchange(ctx, request)
	if status == 0 {
		c.close()
		if ctx.Err() != nil {
			return 0 // cut off by the end of the run
		}
	}
	c.answers[kind+" "+strconv.Itoa(status)]++
	return status
}

func (c *client) exchange(ctx context.Context, request []byte) int {
	if c.conn == nil && !c.connect(ctx) {
		return 0
	}
	if err := c.conn.SetDeadline(time.Now().Add(answerLimit)); err != nil || ctx.Err() != nil {
		return 0
	}
	if _, err := c.conn.Write(request); err != nil {
		return 0
	}
	res, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0
	}
	_, err = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if err != nil {
		return 0
	}
	if res.Close {
		c.close()
	}
	return res.StatusCode
}

func (c *client) connect(ctx context.Context) bool {
	conn, err := c.dialer.DialContext(ctx, "tcp", c.host.String())
	if err != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn, c.reader = conn, bufio.NewReader(conn)
	if c.ended {
		_ = conn.SetDeadline(time.Unix(1, 0))
	}
	return true
}

func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// interrupt gives the request under way a moment to end.
func (c *client) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.conn != nil {
		_ = c.conn.SetReadDeadline(time.Now().Add(time.Second))
	}
}

// post renders a request. The result is good until the next call.
func (c *client) post(path, headers string, body []byte) []byte {
	c.request = fmt.Appendf(c.request[:0],
		"POST %s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %d\r\n\r\n",
		path, c.host, headers, len(body))
	c.request = append(c.request, body...)
	return c.request
}

func clone(request []byte) sent { return sent{append([]byte(nil), request...), time.Now()} }

// batch sends events of one visitor, and some of them again.
func (c *client) batch(ctx context.Context) bool {
	if request := c.dueAgain(); request != nil {
		return c.send(ctx, "late", request) == http.StatusAccepted
	}
	first := c.next.Add(int64(c.Batch)) - int64(c.Batch)
	c.body = appendBatch(c.body[:0], c.Site, first, c.Batch)
	request := c.post("/api/sync", "Origin: "+c.Origin+"\r\nContent-Type: text/plain\r\n", c.body)
	began := time.Now()
	status := c.send(ctx, "batch", request)
	if status != http.StatusAccepted {
		return false
	}
	_ = c.latency.RecordValue(time.Since(began).Microseconds())
	c.ledger.acknowledge(first, c.Batch)
	dice := rand.IntN(100) // #nosec G404 -- a mix, not a secret
	if dice < c.Doubles && len(c.late) < remembered {
		c.late = append(c.late, clone(request))
	}
	if dice < c.Doubles {
		return c.send(ctx, "double", request) == http.StatusAccepted
	}
	return true
}

// lateAfter is how long a late repeat waits: the tracker's first retry.
const lateAfter = 5 * time.Second

func (c *client) dueAgain() []byte {
	if len(c.late) == 0 || time.Since(c.late[0].at) < lateAfter {
		return nil
	}
	request := c.late[0].request
	c.late = c.late[1:]
	return request
}

// call sends a signed call event, and remembers it to replay it.
func (c *client) call(ctx context.Context) bool {
	n := c.next.Add(1) - 1
	c.body = appendCall(c.body[:0], c.Site, n)
	request := c.post("/api/call-event/v2", c.signature(c.Secret, c.body), c.body)
	if c.send(ctx, "call", request) != http.StatusAccepted {
		return false
	}
	c.ledger.acknowledge(n, 1)
	if len(c.signed) == remembered {
		c.signed = c.signed[1:]
	}
	c.signed = append(c.signed, clone(request))
	return true
}

// replay sends an accepted call again, as somebody does who has seen it.
func (c *client) replay(ctx context.Context) bool {
	if len(c.signed) == 0 {
		return c.call(ctx)
	}
	again := c.signed[rand.IntN(len(c.signed))] // #nosec G404 -- a mix, not a secret
	if time.Since(again.at) > replayWithin {
		c.signed = nil
		return true
	}
	return c.send(ctx, "replay", again.request) == http.StatusOK
}

// replayWithin is less than the window of a signature: after it, a replay is refused
// for its age.
const replayWithin = 4 * time.Minute

// forge signs a call with a secret of its own.
func (c *client) forge(ctx context.Context) bool {
	c.body = appendCall(c.body[:0], c.Site, c.next.Add(1)-1)
	request := c.post("/api/call-event/v2", c.signature("not the secret of the site", c.body), c.body)
	return c.send(ctx, "forgery", request) == http.StatusUnauthorized
}

// guess tries a password.
func (c *client) guess(ctx context.Context) bool {
	n := c.next.Add(1) - 1
	c.body = fmt.Appendf(c.body[:0], `{"email":"admin@demo.test","password":"guess %d"}`, n)
	request := c.post("/auth/login", "Content-Type: application/json\r\n", c.body)
	return c.send(ctx, "guess", request) == http.StatusUnauthorized
}

// signature renders the headers of a signed call event.
func (c *client) signature(secret string, body []byte) string {
	ts := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(ts + "."))
	mac.Write(body)
	return "X-Ops-Site-Id: " + c.Site + "\r\nX-Ops-Ts: " + ts + "\r\nX-Ops-Signature: " +
		hex.EncodeToString(mac.Sum(nil)) + "\r\nContent-Type: text/plain\r\n"
}
