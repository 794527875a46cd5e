package media

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig/ephemeral"
)

// Config configures a Server. New copies it.
type Config struct {
	_ [0]func()

	// Conn is the one UDP socket of all sessions. Required. The server closes it.
	Conn net.PacketConn
	// Address is what peers are told, where it is not that of Conn: behind a NAT, or for
	// a Conn that listens everywhere. An address alone, with the port of Conn.
	//
	//	203.0.113.7   permitted
	//	0.0.0.0       refused
	Address netip.Addr

	// Capacity is how many a room holds. Default 2; at most 16.
	Capacity int
	// MaxSessions is how many sessions there are at most. Default 1000, at most 100,000.
	MaxSessions int
	// Handshake is how long a peer may take from the answer to the end of the handshake.
	// Default 15 s, 1 s to 1 min.
	Handshake time.Duration
	// TokenLifetime is that of the session tokens: for so long a revocation is
	// remembered. Default 5 min, 1 s to 5 min.
	TokenLifetime time.Duration

	// Audio, if set, gets what each connected peer sends. Call names the call: a room from
	// the first peer that comes to the last one that goes, by 22 random characters. An
	// error ends the session: what has to be recorded is not to go unrecorded.
	Audio func(ctx context.Context, call string, session ephemeral.Session) (Sink, error)

	// Record, if set, makes a decision durable before it takes effect. An admission that
	// it cannot record does not happen.
	Record func(context.Context, sallyport.Event) error
	// OnEvent, if set, is called once for each decision, those on handshakes included,
	// which have no Request. Event.Tenant is the site, Actor the token's subject, Detail a
	// *Decision.
	OnEvent func(context.Context, sallyport.Event)
	// ProblemBase is what the type URIs of refusals begin with.
	ProblemBase string
}

// Sink takes the Opus packets of one peer. Its methods are called by one goroutine.
type Sink interface {
	// Write takes a payload, with the number and the time (at 48 kHz) of its packet. It
	// must not keep the slice.
	Write(sequence uint16, timestamp uint32, opus []byte) error
	Close() error
}

func (c *Config) check() error {
	var problems []error
	report := func(field, code, fix string) {
		problems = append(problems, &sallyport.ConfigError{
			Gate: gate, Field: field, Code: code, Fix: fix,
		})
	}
	if c.Conn == nil {
		report("Conn", sallyport.ConfigRequired, "a UDP socket")
	} else if addr := c.announced(); !addr.IsValid() || addr.IsUnspecified() || addr.IsMulticast() {
		report("Address", sallyport.ConfigRequired, "the address under which peers reach Conn")
	}
	c.Capacity = within(c.Capacity, 2, 1, 16, "Capacity", report)
	c.MaxSessions = within(c.MaxSessions, 1000, 1, 100_000, "MaxSessions", report)
	c.Handshake = within(c.Handshake, 15*time.Second, time.Second, time.Minute, "Handshake", report)
	c.TokenLifetime = within(c.TokenLifetime, 5*time.Minute, time.Second, 5*time.Minute,
		"TokenLifetime", report)
	return errors.Join(problems...)
}

// within returns v, or its default for 0, and reports what is out of range.
func within[T int | time.Duration](
	v, byDefault, low, high T, field string, report func(field, code, fix string),
) T {
	switch {
	case v == 0:
		return byDefault
	case v < low || v > high:
		report(field, sallyport.ConfigOutOfRange, "see the documentation of the field")
	}
	return v
}

// announced is the address that peers are told.
func (c *Config) announced() netip.Addr {
	if c.Address.IsValid() {
		return c.Address
	}
	if udp, ok := c.Conn.LocalAddr().(*net.UDPAddr); ok {
		return udp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
