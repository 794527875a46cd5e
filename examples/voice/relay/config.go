package relay

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/opsmantik/sallyport"
)

// Config configures a Server. New copies it.
type Config struct {
	_ [0]func()

	// Conn is the UDP socket that clients reach. Required. The server closes it.
	Conn net.PacketConn
	// Address is where relays listen, and what peers see. Required: one of this machine's.
	//
	//	203.0.113.7   permitted
	//	0.0.0.0       refused
	Address netip.Addr
	// Allow are the peers: the media server's address and port. Required. Others get
	// nothing, and nothing of theirs comes through.
	Allow []netip.AddrPort

	// Lifetime of credentials until a relay is opened, and of a relay until its session
	// is. Default 5 min, 1 s to 5 min.
	Lifetime time.Duration
	// PerSession is how many relays a session may have at a time. Default 2, at most 8:
	// browsers make one per network.
	PerSession int
	// MaxRelays is how many relays there are at most. Default 1000, at most 100,000.
	MaxRelays int
	// BytesPerSecond is how much a session may relay, both ways together, with a second's
	// worth at once. Default 32 KiB, three times what Opus needs at its best; 1 KiB to
	// 16 MiB.
	BytesPerSecond int
	// MaxBytes is how much a session may relay in all. Default 512 MiB, at most 1 TiB.
	MaxBytes int64
	// Interval is that of CodeRelayUsed. Default a minute, 1 s to an hour.
	Interval time.Duration

	// OnEvent, if set, is told of each relay and each refusal. Event.Tenant is the site,
	// Actor the subject of the session; Detail is a [*Usage].
	OnEvent func(context.Context, sallyport.Event)
}

const gate = "voice"

func (c *Config) check() error {
	var problems []error
	report := func(field, code, fix string) {
		problems = append(problems, &sallyport.ConfigError{
			Gate: gate, Field: field, Code: code, Fix: fix,
		})
	}
	if c.Conn == nil {
		report("Conn", sallyport.ConfigRequired, "a UDP socket")
	}
	if !c.Address.IsValid() || c.Address.IsUnspecified() {
		report("Address", sallyport.ConfigRequired, "an address of this machine")
	}
	if len(c.Allow) == 0 {
		report("Allow", sallyport.ConfigRequired, "the address and port of the media server")
	}
	for _, peer := range c.Allow {
		if addr := peer.Addr(); !peer.IsValid() || peer.Port() == 0 || addr.IsUnspecified() ||
			addr.IsMulticast() || addr != addr.Unmap() || addr.Zone() != "" {
			report("Allow", sallyport.ConfigMalformed, "one address and port, without zone")
		}
	}
	bounded(&c.Lifetime, 5*time.Minute, time.Second, 5*time.Minute, "Lifetime", report)
	bounded(&c.PerSession, 2, 1, 8, "PerSession", report)
	bounded(&c.MaxRelays, 1000, 1, 100_000, "MaxRelays", report)
	bounded(&c.BytesPerSecond, 32<<10, 1<<10, 16<<20, "BytesPerSecond", report)
	bounded(&c.MaxBytes, 512<<20, 1, 1<<40, "MaxBytes", report)
	bounded(&c.Interval, time.Minute, time.Second, time.Hour, "Interval", report)
	return errors.Join(problems...)
}

// bounded sets the default for 0, and reports what is out of range.
func bounded[T int | int64 | time.Duration](
	v *T, byDefault, low, high T, field string, report func(field, code, fix string),
) {
	if *v == 0 {
		*v = byDefault
	}
	if *v < low || *v > high {
		report(field, sallyport.ConfigOutOfRange, "see the documentation of the field")
	}
}
