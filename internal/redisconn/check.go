package redisconn

import (
	"crypto/tls"
	"net"
	"net/netip"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
)

// settings are the options that matter here, which every kind of client has.
type settings struct {
	retries  int
	context  bool
	replicas bool
	tls      *tls.Config
	addrs    []string
	poolSize int
}

// settingsOf returns the options of a client. Of a type that is not go-redis's
// own, nothing is known.
func settingsOf(client redis.UniversalClient) (s settings, ok bool) {
	switch c := client.(type) {
	case *redis.Client:
		if c == nil {
			return s, false
		}
		o := c.Options()
		s = settings{
			retries: o.MaxRetries, context: o.ContextTimeoutEnabled, tls: o.TLSConfig,
			poolSize: o.PoolSize,
		}
		if o.Network != "unix" {
			s.addrs = []string{o.Addr}
		}
	case *redis.ClusterClient:
		if c == nil {
			return s, false
		}
		o := c.Options()
		s = settings{
			retries: o.MaxRetries, context: o.ContextTimeoutEnabled, tls: o.TLSConfig,
			replicas: o.ReadOnly || o.RouteByLatency || o.RouteRandomly,
			addrs:    o.Addrs, poolSize: o.PoolSize,
		}
	case *redis.Ring:
		if c == nil {
			return s, false
		}
		o := c.Options()
		s = settings{
			retries: o.MaxRetries, context: o.ContextTimeoutEnabled, tls: o.TLSConfig,
			poolSize: o.PoolSize,
		}
		for _, addr := range o.Addrs {
			s.addrs = append(s.addrs, addr)
		}
	default:
		return s, false
	}
	return s, true
}

// Check adds what is wrong with the client to problems, as problems of the field
// "Client". It sends nothing.
func Check(problems *configerr.List, cfg Config) {
	bad := func(value, code, fix string) { problems.Add("Client", value, code, fix) }
	if cfg.Client == nil {
		bad("", sallyport.ConfigRequired, "is the *redis.Client, *redis.ClusterClient or "+
			"*redis.Ring to use")
		return
	}
	s, ok := settingsOf(cfg.Client)
	if !ok {
		bad("", sallyport.ConfigUnknown, "is nil, or of a type whose options cannot be seen; "+
			"want a *redis.Client, *redis.ClusterClient or *redis.Ring")
		return
	}
	if s.retries > 0 {
		bad("MaxRetries="+strconv.Itoa(s.retries), sallyport.ConfigInsecure,
			"sends commands again whose outcome is unknown; set MaxRetries to -1")
	}
	if !s.context {
		bad("", sallyport.ConfigInsecure,
			"waits longer than it is told to; set ContextTimeoutEnabled")
	}
	if s.replicas {
		bad("", sallyport.ConfigInsecure,
			"reads from replicas, which are late; unset ReadOnly, RouteByLatency and RouteRandomly")
	}
	if s.tls != nil {
		checkTLS(s.tls, bad)
	} else if !cfg.AllowPlaintext {
		checkPlaintext(s.addrs, bad)
	}
}

func checkTLS(c *tls.Config, bad func(value, code, fix string)) {
	if c.InsecureSkipVerify && c.VerifyConnection == nil && c.VerifyPeerCertificate == nil {
		bad("", sallyport.ConfigInsecure, "accepts any certificate; set TLSConfig.RootCAs to the "+
			"authority that signs the server's, and unset InsecureSkipVerify")
	}
	for _, version := range [...]uint16{c.MinVersion, c.MaxVersion} {
		if version != 0 && version < tls.VersionTLS12 {
			bad(tls.VersionName(version), sallyport.ConfigInsecure, "allows TLS below 1.2")
			return
		}
	}
}

func checkPlaintext(addrs []string, bad func(value, code, fix string)) {
	for _, addr := range addrs {
		if !local(addr) {
			bad(addr, sallyport.ConfigInsecure, "is not on this machine and has no TLS, so passwords "+
				"and data cross the network in the clear; set TLSConfig, or DangerouslyAllowPlaintext "+
				"where the network itself is trusted")
			return
		}
	}
}

// local reports whether an address cannot leave this machine.
func local(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
