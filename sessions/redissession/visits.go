package redissession

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
	"github.com/opsmantik/sallyport/internal/redisconn"
	"github.com/opsmantik/sallyport/sessions/tracker"
)

//go:embed visits.lua
var visitsSource string

// VisitsConfig configures [Visits].
type VisitsConfig struct {
	_ [0]func() // keyed literals only

	// Client is as in [Config].
	Client redis.UniversalClient
	// Prefix begins every key. Default "sallyport:visits".
	Prefix string
	// MaxPerSite is the most visits of one site. Default 100,000.
	MaxPerSite int
	// DangerouslyAllowEviction and DangerouslyAllowPlaintext are as in [Config].
	DangerouslyAllowEviction, DangerouslyAllowPlaintext bool
}

// Visits is a [tracker.Store] in Redis: the visits of a site, which authenticate
// nobody, in one slot. The zero value and nil answer every call with an error.
type Visits struct {
	commands
	prefix string
	limit  string
	script script
}

// NewVisits returns a store of visits, as [New] does one of sessions.
func NewVisits(cfg VisitsConfig) (*Visits, error) {
	v, err := newVisits(cfg, "")
	if err != nil {
		return nil, err
	}
	return v, v.connect()
}

func newVisits(cfg VisitsConfig, skew string) (*Visits, error) {
	if cfg.Prefix == "" {
		cfg.Prefix = "sallyport:visits"
	}
	if cfg.MaxPerSite == 0 {
		cfg.MaxPerSite = 100_000
	}
	conn := redisconn.Config{
		Client: cfg.Client, AllowEviction: cfg.DangerouslyAllowEviction,
		AllowPlaintext: cfg.DangerouslyAllowPlaintext,
	}
	bad := configerr.For(gate)
	redisconn.Check(bad, conn)
	checkPrefix(bad, cfg.Prefix)
	if cfg.MaxPerSite < 1 {
		bad.Add("MaxPerSite", strconv.Itoa(cfg.MaxPerSite), sallyport.ConfigOutOfRange,
			"want at least 1")
	}
	if err := bad.Err(); err != nil {
		return nil, err
	}
	v := &Visits{prefix: cfg.Prefix, limit: strconv.Itoa(cfg.MaxPerSite)}
	v.script = newScript(strings.Replace(visitsSource, "+ time[2]", "+ time[2]"+skew, 1))
	conn.Probe = func(ctx context.Context, _ redis.UniversalClient) error {
		_, err := v.Touch(ctx, "", "", "probe", time.Second)
		return err
	}
	v.conn = redisconn.New(conn)
	return v, nil
}

// Close ends the goroutine that keeps connections ready. The client stays open.
func (v *Visits) Close() {
	if v != nil {
		v.close()
	}
}

// Touch implements [tracker.Store].
func (v *Visits) Touch(
	ctx context.Context, site, visitor, id string, idle time.Duration,
) (tracker.Visit, error) {
	if v == nil || v.conn == nil {
		return tracker.Visit{}, errZero
	}
	sum := sha256.Sum256([]byte(site)) // whatever a site is called, its slot is one
	shard := "{" + v.prefix + ":" + base64.RawURLEncoding.EncodeToString(sum[:16]) + "}:"
	got, err := v.run(ctx, &v.script, []string{shard + "v:" + visitor, shard + "a"},
		idle.Microseconds(), id, visitor, v.limit)
	if err != nil {
		return tracker.Visit{}, err
	}
	if got == "FULL" {
		return tracker.Visit{}, tracker.ErrFull
	}
	return visit(site, visitor, got)
}

var errVisit = errors.New("redissession: a stored visit cannot be read")

// visit decodes the answer of the script.
func visit(site, visitor string, got any) (tracker.Visit, error) {
	words, _ := got.([]any)
	if len(words) != 4 {
		return tracker.Visit{}, errVisit
	}
	id, _ := words[0].(string)
	started, err1 := micros(words[1])
	seen, err2 := micros(words[2])
	events, ok := words[3].(int64)
	if err := errors.Join(err1, err2); err != nil || !ok || id == "" {
		return tracker.Visit{}, errVisit
	}
	return tracker.Visit{
		ID: id, Site: site, Visitor: visitor, Started: started, Seen: seen, Events: int(events),
	}, nil
}

func micros(word any) (time.Time, error) {
	text, _ := word.(string)
	n, err := strconv.ParseInt(text, 10, 64)
	return time.UnixMicro(n), err
}
