package media

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/pion/logging"
)

// causes is the log of one session. It keeps the error that ended the handshake, and
// writes nothing: pion's log has addresses in it.
type causes struct {
	logging.LeveledLogger // discards the rest

	once  sync.Once
	cause error
	known chan struct{} // closed once there is a cause
}

func newCauses() *causes { return &causes{LeveledLogger: discard, known: make(chan struct{})} }

// NewLogger implements logging.LoggerFactory.
func (c *causes) NewLogger(scope string) logging.LeveledLogger {
	if scope == "pc" {
		return c
	}
	return discard
}

// Warnf keeps the error of a handshake.
func (c *causes) Warnf(format string, args ...any) {
	if !strings.HasPrefix(format, "Failed to start manager") {
		return
	}
	for _, arg := range args {
		if err, ok := arg.(error); ok {
			c.once.Do(func() {
				c.cause = err
				close(c.known)
			})
		}
	}
}

// err returns why the handshake failed. Pion says so right after it has failed, so this
// waits for a moment.
func (c *causes) err() error {
	select {
	case <-c.known:
		return c.cause
	case <-time.After(time.Second):
		return errUnfinished
	}
}

var errUnfinished = errors.New("media: the peer did not finish the handshake")

var discard = logging.NewDefaultLeveledLoggerForScope("", logging.LogLevelDisabled, nil)
