package hmacsig

import (
	"errors"
	"fmt"
	"net/http"
	"time"
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
	Scheme Scheme
	// Keys finds the keys of a key id. Required.
	Keys KeySource

	// MaxAge and MaxAhead replace the scheme's window if they are not zero.
	// Both up to 24 hours. Seconds count: fractions are cut off.
	MaxAge, MaxAhead time.Duration

	// Replay remembers accepted messages. Nil: a new MemoryReplay of the
	// default size, which is right for one process and one only.
	Replay ReplayStore
	// Realm keeps the nonces of this verifier apart from those of others that
	// share Replay, for schemes that sign a nonce and no key id: two senders of
	// Standard Webhooks may choose the same one, and one could use up the
	// other's. Instances of one service have the same Realm. At most 255 bytes.
	Realm string
	// DangerouslyAllowReplay leaves replays to the application, which then
	// claims Proof.Replay in the transaction that stores the effect: the
	// one arrangement that survives a crash between the two.
	DangerouslyAllowReplay bool

	// MaxBodyBytes is the largest body, default 1 MiB, at most 1 TiB. A larger
	// one is refused with 413, as soon as Content-Length says so.
	MaxBodyBytes int64
	// SpoolAbove, if set, keeps bodies of more bytes than this in a temporary
	// file in SpoolDir (default os.TempDir) instead of in memory. The handler
	// still sees no byte before the signature has been verified.
	SpoolAbove int64
	SpoolDir   string
	// DangerouslyStreamBody hands the body to the handler while it arrives.
	// Only for SignsDigest schemes, whose headers are proved by then; the last
	// Read returns ErrDigest instead of io.EOF if the body is another one. A
	// handler must therefore do nothing that it cannot undo before io.EOF. A
	// body that ends in any other way than io.EOF releases the message.
	DangerouslyStreamBody bool

	// OnDecision, if set, is called once per request after the decision,
	// allow and refuse. If it panics, the message is released.
	OnDecision func(*http.Request, Decision)
	// OnReject, if set, replaces the default problem+json answer.
	OnReject func(http.ResponseWriter, *http.Request, *Rejection)
	// OnSettleError, if set, is called when a claim could not be confirmed or
	// released. The message then stays in flight until it expires.
	OnSettleError func(*http.Request, error)
}

// Decision is what OnDecision sees. Rejection is nil when the request was let
// through; Proof is the zero Proof when it was not. As metric labels use
// Rejection.Reason, Proof.Key and Proof.Retiring, which are bounded, and never
// Proof.KeyID.
type Decision struct {
	Proof     Proof
	Rejection *Rejection
}

// problems returns everything that is wrong with the configuration.
func (c *Config) problems() error {
	var errs []error
	bad := func(field, value, reason string) {
		errs = append(errs, &ConfigError{Field: field, Value: value, Reason: reason})
	}
	s := &c.Scheme
	if s.Name == "" || s.Read == nil || s.Base == nil {
		bad("Scheme", s.Name, "needs at least Name, Read and Base")
	}
	if len(s.Name) > 255 {
		bad("Scheme.Name", s.Name, "is longer than 255 bytes")
	}
	if len(c.Realm) > 255 {
		bad("Realm", "", "is longer than 255 bytes")
	}
	if s.Coverage < SignsBody || s.Coverage > SignsHead {
		bad("Scheme.Coverage", fmt.Sprint(int(s.Coverage)), "is not one of the constants")
	}
	if s.Status != 0 && (s.Status < 400 || s.Status > 499) {
		bad("Scheme.Status", fmt.Sprint(s.Status), "is not a 4xx status")
	}
	if c.Keys == nil {
		bad("Keys", "", "is required")
	}
	for _, w := range []struct {
		field string
		value time.Duration
		least time.Duration
	}{{"MaxAge", c.maxAge(), time.Second}, {"MaxAhead", c.maxAhead(), 0}} {
		if w.value < w.least || w.value > maxWindow {
			bad(w.field, w.value.String(), fmt.Sprintf("is not between %s and 24h", w.least))
		}
	}
	if c.DangerouslyAllowReplay && c.Replay != nil {
		bad("Replay", "", "is set together with DangerouslyAllowReplay")
	}
	if c.MaxBodyBytes < 0 || c.MaxBodyBytes > maxBody {
		bad("MaxBodyBytes", fmt.Sprint(c.MaxBodyBytes), "is not between 0 and 1 TiB")
	}
	if c.SpoolAbove < 0 || c.SpoolAbove > 0 && c.SpoolAbove >= c.bodyLimit() {
		bad("SpoolAbove", fmt.Sprint(c.SpoolAbove), "is not below MaxBodyBytes")
	}
	if c.DangerouslyStreamBody && (s.Coverage != SignsDigest || c.SpoolAbove > 0) {
		bad("DangerouslyStreamBody", "", "needs a SignsDigest scheme and no SpoolAbove")
	}
	return errors.Join(errs...)
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
