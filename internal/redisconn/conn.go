package redisconn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// connectTimeout bounds dialling, TLS, HELLO and the probe. Five round trips
	// at 40 ms are a tenth of it.
	connectTimeout = 2 * time.Second
	// maxReady is how many connections are made ready on each server.
	maxReady = 16
	// refresh is how often ready connections are used when nobody else does, so
	// that neither go-redis (30 minutes) nor a balancer in between (from 60
	// seconds up, mostly 350) drops them.
	refresh = 50 * time.Second
)

// Config says how a store uses a client.
type Config struct {
	Client redis.UniversalClient
	// Probe does what the store will do, on keys of its own: an answer to PING
	// would not tell that scripts are forbidden.
	Probe func(ctx context.Context, client redis.UniversalClient) error
	// AllowEviction and AllowPlaintext are the stores' DangerouslyAllow fields.
	AllowEviction  bool
	AllowPlaintext bool
}

// Conn is a client that Check approved of. It is safe for concurrent use.
type Conn struct {
	cfg   Config
	ready int
	slots chan struct{}

	lost chan struct{}
	stop context.CancelFunc
	done chan struct{}
	once sync.Once
}

// New makes a Conn of a Config that Check found nothing wrong with. It sends
// nothing.
func New(cfg Config) *Conn {
	s, _ := settingsOf(cfg.Client)
	c := &Conn{cfg: cfg, ready: max(min(s.poolSize, maxReady), 1), lost: make(chan struct{}, 1)}
	c.slots = make(chan struct{}, c.ready)
	return c
}

// Client returns the client, for commands whose deadline leaves room for a new
// connection.
func (c *Conn) Client() redis.UniversalClient { return c.cfg.Client }

// Connect makes connections ready on every server, and then asks whether they can
// be used. An error is a server that says no ([Refused]) or one that is out.
func (c *Conn) Connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := c.each(ctx, c.warm); err != nil {
		return err
	}
	if !c.cfg.AllowEviction {
		if err := c.each(ctx, keeps); err != nil {
			return err
		}
	}
	if c.cfg.Probe == nil {
		return nil
	}
	return c.cfg.Probe(ctx, c.cfg.Client)
}

// each calls do with a client of every server that is written to.
func (c *Conn) each(ctx context.Context, do func(context.Context, *redis.Client) error) error {
	switch client := c.cfg.Client.(type) {
	case *redis.ClusterClient:
		return client.ForEachMaster(ctx, do)
	case *redis.Ring:
		return client.ForEachShard(ctx, do)
	case *redis.Client:
		return do(ctx, client)
	}
	return errors.New("redisconn: unknown client")
}

// warm has the server answer on several connections at the same time, so that as
// many are ready afterwards: one that is in use is not lent twice. The first goes
// alone: go-redis (9.23) learns from it, with a write to the client's options
// that races with other first connections.
func (c *Conn) warm(ctx context.Context, client *redis.Client) error {
	conns := make([]*redis.Conn, c.ready)
	for i := range conns {
		conns[i] = client.Conn()
	}
	err := conns[0].Ping(ctx).Err()
	if err == nil {
		var all sync.WaitGroup
		for _, conn := range conns[1:] {
			// One answer is enough to work with; the others are perhaps refused
			// by a server that is near its limit of connections.
			all.Go(func() { _ = conn.Ping(ctx) })
		}
		all.Wait()
	}
	for _, conn := range conns {
		_ = conn.Close() // back into the pool, or away if it failed
	}
	return err
}

// Keep starts a goroutine that makes connections ready again when some were lost.
// Close ends it.
func (c *Conn) Keep() {
	ctx, cancel := context.WithCancel(context.Background())
	c.stop, c.done = cancel, make(chan struct{})
	go func() {
		defer close(c.done)
		tick := time.NewTicker(refresh)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			case <-c.lost:
			}
			c.Refill(ctx)
		}
	}()
}

// Refill makes connections ready, as far as the servers answer.
func (c *Conn) Refill(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	// A server that is out is for the commands to notice.
	_ = c.each(ctx, c.warm)
}

// Close ends the goroutine of Keep and waits for it. The client stays open: it is
// the caller's.
func (c *Conn) Close() {
	if c.stop == nil {
		return
	}
	c.once.Do(c.stop)
	<-c.done
}

// ErrBusy says that no connection was free in time. The command was not sent.
var ErrBusy = errors.New("redis: no connection was free in time; not sent")

// Process sends a command on a ready connection, and waits for its answer until
// the deadline at the latest. It does not heed the cancellation of values.
func (c *Conn) Process(values context.Context, at time.Time, cmd redis.Cmder) error {
	ctx := within(values, at)
	defer ctx.end()
	select {
	case c.slots <- struct{}{}:
	case <-ctx.done:
		return ErrBusy
	}
	defer func() { <-c.slots }()
	err := c.cfg.Client.Process(ctx, cmd)
	if _, answered := errors.AsType[redis.Error](err); err != nil && !answered {
		select {
		case c.lost <- struct{}{}: // go-redis drops a connection after an error
		default:
		}
	}
	return err
}

var errEviction = errors.New("redis: the server may evict keys when its memory is full; " +
	"set maxmemory-policy to noeviction")

// keeps checks the eviction policy. Every policy but noeviction may drop our keys,
// since all of them expire. Servers that do not tell are believed.
func keeps(ctx context.Context, c *redis.Client) error {
	info, err := c.Info(ctx, "memory").Result()
	if answer, ok := errors.AsType[redis.Error](err); ok && Refused(answer) {
		return nil // forbidden by an access control list
	}
	if err != nil {
		return err
	}
	if strings.Contains(info, "\r\nmaxmemory:0\r\n") || !strings.Contains(info, "maxmemory_policy:") ||
		strings.Contains(info, "maxmemory_policy:noeviction") {
		return nil
	}
	return errEviction
}

// temporary are the answers of a server that will do better later: it starts, it
// fails over, it is full. Every other error that it sends is a "no".
var temporary = [...]string{
	"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "OOM",
	"MISCONF", "NOREPLICAS", "BUSY", "UNKILLABLE", "NOSCRIPT", "ERR max number of clients reached",
}

// Refused reports whether an error is a "no" that will stay one until somebody
// changes the configuration: a wrong password, a forbidden or unknown command, a
// certificate that does not verify, a server that may evict keys.
func Refused(err error) bool {
	if errors.Is(err, errEviction) {
		return true
	}
	if answer, ok := errors.AsType[redis.Error](err); ok && !errors.Is(err, redis.Nil) {
		for _, prefix := range temporary {
			if strings.HasPrefix(answer.Error(), prefix) {
				return false
			}
		}
		return true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return true // a TLS alert: it wants a client certificate, say
	}
	_, ok := errors.AsType[tls.RecordHeaderError](err) // no TLS at the other end
	return ok
}

// Outage is the error of a command that was not sent because the server is out.
type Outage struct {
	// Cause is the error that told of it.
	Cause error
}

// Error contains "not asked" and the cause.
func (o *Outage) Error() string { return fmt.Sprintf("redis is out; not asked: %v", o.Cause) }

// Unwrap returns the cause.
func (o *Outage) Unwrap() error { return o.Cause }
