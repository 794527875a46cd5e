package hmacsig

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
)

const (
	defaultBody = 1 << 20
	maxBody     = 1 << 40
	maxWindow   = 24 * time.Hour
)

// Config configures a Verifier. New copies it.
type Config struct {
	_ [0]func() // keyed literals only; not comparable

	// Scheme says what is signed and where. Required.
	//
	//	hmacsig.Stripe()             permitted
	//	hmacsig.Scheme{Name: "x"}    refused: no Read, no Base
	Scheme Scheme
	// Keys finds the keys of a key id. Required. Schemes without a key id
	// (Stripe, GitHub, Slack, Standard Webhooks) ask for the id "".
	//
	//	StaticKeys{"site-1": ring}   permitted with OpsMantik
	//	StaticKeys{"site-1": ring}   refused with GitHub: nothing would ever match
	Keys KeySource

	// MaxAge and MaxAhead replace the scheme's window if they are not zero:
	// how old a message may be, at least a second, and how far ahead of this
	// clock. Both up to 24 hours. Fractions of a second are cut off.
	MaxAge, MaxAhead time.Duration

	// Replay remembers accepted messages. Nil: a new MemoryReplay of the
	// default size, which is right for one process and one only.
	Replay ReplayStore
	// DangerouslyAllowReplay leaves replays to the application, which then
	// claims Proof.Replay in the transaction that stores the effect: the
	// one arrangement that survives a crash between the two.
	DangerouslyAllowReplay bool

	// MaxBodyBytes is the largest body, default 1 MiB, at most 1 TiB. A larger
	// one is refused with 413, as soon as Content-Length says so.
	MaxBodyBytes int64

	// OnEvent, if set, is called once per decision, after it, and once more
	// with CodeClaimNotSettled when a claim could not be settled. Event.Policy
	// is the scheme's name, Event.Tenant the key id (in a refusal a claim that
	// nobody has proved), Event.Detail the Proof of a request that was let
	// through. Proof.Key and Proof.Retiring are good labels. If OnEvent panics,
	// the message is released.
	OnEvent func(context.Context, sallyport.Event)
	// OnReject, if set, replaces the default problem document. Retry-After and
	// WWW-Authenticate are set before it.
	OnReject func(http.ResponseWriter, *http.Request, *sallyport.Refusal)
	// ProblemBase is what the type URI of a problem begins with, default this
	// project's docs/problems.md.
	ProblemBase string
}

// problems returns everything that is wrong with the configuration.
func (c *Config) problems() error {
	list := configerr.For(gateName)
	c.Scheme.problems(list)
	if c.Keys == nil {
		list.Add("Keys", "", sallyport.ConfigRequired, "say whose keys verify, such as StaticKeys")
	}
	if static, ok := c.Keys.(StaticKeys); ok {
		static.problems(list, &c.Scheme)
	}
	for _, w := range []struct {
		field string
		value time.Duration
		least time.Duration
	}{{"MaxAge", c.maxAge(), time.Second}, {"MaxAhead", c.maxAhead(), 0}} {
		if w.value < w.least || w.value > maxWindow {
			list.Add(w.field, w.value.String(), sallyport.ConfigOutOfRange,
				fmt.Sprintf("is not between %s and 24h", w.least))
		}
	}
	if c.DangerouslyAllowReplay && c.Replay != nil {
		list.Add("Replay", "", sallyport.ConfigConflict,
			"is never asked with DangerouslyAllowReplay; leave one of them out")
	}
	checkBodyLimit(list, c.MaxBodyBytes)
	return list.Err()
}

func checkBodyLimit(list *configerr.List, limit int64) {
	if limit < 0 || limit > maxBody {
		list.Add("MaxBodyBytes", fmt.Sprint(limit), sallyport.ConfigOutOfRange,
			"is not between 0 and 1 TiB")
	}
}

func (c *Config) bodyLimit() int64 {
	if c.MaxBodyBytes == 0 {
		return defaultBody
	}
	return c.MaxBodyBytes
}

func (c *Config) maxAge() time.Duration {
	if c.MaxAge != 0 {
		return c.MaxAge
	}
	return c.Scheme.MaxAge
}

func (c *Config) maxAhead() time.Duration {
	if c.MaxAhead != 0 {
		return c.MaxAhead
	}
	return c.Scheme.MaxAhead
}
