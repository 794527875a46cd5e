package redissession

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
	"github.com/opsmantik/sallyport/internal/redisconn"
)

// script is a Lua script and the name that a server knows it by.
type script struct{ source, sha string }

func newScript(source string) script {
	return script{source, redis.NewScript(source).Hash()}
}

// commands is how both stores use their client.
type commands struct{ conn *redisconn.Conn }

// connect makes connections ready. A server that says no is an error, and one that
// does not answer is an outage, during which every method fails.
func (c *commands) connect() error {
	if err := c.conn.Connect(context.Background()); err != nil && redisconn.Refused(err) {
		bad := configerr.For(gate)
		bad.Add("Client", "", sallyport.ConfigUnavailable, err.Error())
		return bad.Err()
	}
	c.conn.Keep()
	return nil
}

// close ends the goroutine that keeps connections ready.
func (c *commands) close() {
	if c.conn != nil {
		c.conn.Close()
	}
}

var errZero = errors.New("redissession: zero store; use New")

// defaultTimeout bounds a command whose context has no deadline.
const defaultTimeout = 2 * time.Second

// pause lies between two tries while a slot moves to another server of a Cluster.
const pause = 5 * time.Millisecond

// run sends a script, by its name if the server knows it. The server answers
// NOSCRIPT, and TRYAGAIN while a slot is on its way, without having done anything:
// these alone are sent again.
func (c *commands) run(
	ctx context.Context, sc *script, keys []string, args ...any,
) (any, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(defaultTimeout)
	}
	words := make([]any, 0, 3+len(keys)+len(args))
	words = append(words, "evalsha", sc.sha, len(keys))
	for _, key := range keys {
		words = append(words, key)
	}
	words = append(words, args...)
	for {
		cmd := redis.NewCmd(ctx, words...)
		err := c.conn.Process(ctx, deadline, cmd)
		switch {
		case err == nil:
			return cmd.Val(), nil
		case redis.HasErrorPrefix(err, "NOSCRIPT"):
			words[0], words[1] = "eval", sc.source
		case redis.HasErrorPrefix(err, "TRYAGAIN") && time.Until(deadline) > pause:
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return nil, err
			}
		default:
			return nil, err
		}
	}
}
