package redislimit_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/redislimit"
)

// A server 40 ms away, with TLS, decides within the default 50 ms: the four round
// trips of a new connection are not the decisions'.
func TestFarServerWithTLSDecides(t *testing.T) {
	certificate, roots := authority(t)
	const far = 20 * time.Millisecond // each way
	addr := relayed(t, loopback.Redis(t), certificate, far)
	dialled := redis.NewClient(&redis.Options{
		Addr: addr, MaxRetries: -1, ContextTimeoutEnabled: true, PoolSize: 8,
		TLSConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	})
	t.Cleanup(func() { _ = dialled.Close() })
	s, err := redislimit.New(redislimit.Config{Client: dialled, Secret: secret})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	// A busy machine is late for some; without the preparation it is none, ever.
	decided, start := 0, time.Now()
	for decided < 10 && time.Since(start) < 30*time.Second {
		if _, err := attempt(s, "k"); err == nil {
			decided++
		}
	}
	require.Equal(t, 10, decided)

	wrong := redis.NewClient(&redis.Options{
		Addr: addr, MaxRetries: -1, ContextTimeoutEnabled: true,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	})
	t.Cleanup(func() { _ = wrong.Close() })
	_, err = redislimit.New(redislimit.Config{Client: wrong, Secret: secret})
	requireUnavailable(t, err, "unknown authority")
}

func requireUnavailable(t *testing.T, err error, want string) {
	t.Helper()
	var problem *sallyport.ConfigError
	require.ErrorAs(t, err, &problem)
	require.Equal(t, sallyport.ConfigUnavailable, problem.Code)
	require.ErrorContains(t, err, want)
}

// permitted is the list of the package documentation.
var permitted = []string{
	"--user", "limiter", "on", ">right", "~rl:*",
	"+hello", "+ping", "+info", "+eval", "+evalsha", "+time", "+get", "+set", "+psetex", "+del",
	"+pttl", "+pexpire", "+zadd", "+zcard", "+zrem", "+zremrangebyscore", "+zscore",
}

// The permissions that the documentation names are enough, and without any of
// them New fails: the probe does what decisions do.
func TestDocumentedPermissionsSuffice(t *testing.T) {
	t.Parallel()
	as := func(t *testing.T, permissions []string, password string) (*redislimit.Store, error) {
		addr := loopback.RedisWith(t, append([]string{"--requirepass", "admin"}, permissions...)...)
		s, err := redislimit.New(redislimit.Config{
			Client: dial(t, "redis://limiter:"+password+"@"+addr), Secret: secret, Timeout: time.Second,
		})
		t.Cleanup(func() { _ = s.Close() })
		return s, err
	}
	s, err := as(t, permitted, "right")
	require.NoError(t, err)
	p := perHour("a", "k", 1)
	require.True(t, take(t, s, p)[0].Fits)
	require.False(t, take(t, s, p)[0].Fits)
	p.Limit = ratelimit.PerMinute(1)
	take(t, s, p)
	require.NoError(t, s.Forget(t.Context(), []ratelimit.Policy{p}))
	entered, err := s.Enter(t.Context(), p, "token", 1, time.Minute)
	require.NoError(t, err)
	require.True(t, entered)
	require.NoError(t, s.Leave(t.Context(), p, "token"))

	_, err = as(t, permitted, "wrong")
	requireUnavailable(t, err, "WRONGPASS")
	for _, missing := range []string{
		"~rl:*", "+eval", "+time", "+get", "+psetex", "+del", "+pttl", "+zadd", "+zcard", "+zrem",
		"+zremrangebyscore", "+zscore",
	} {
		var rest []string
		for _, one := range permitted {
			if one != missing {
				rest = append(rest, one)
			}
		}
		_, err := as(t, rest, "right")
		require.Error(t, err, missing)
		requireUnavailable(t, err, "probe")
	}
}

// What an operator reads in an outage is why.
func TestOutageTellsItsCause(t *testing.T) {
	t.Parallel()
	server := loopback.StartRedis(t)
	s := open(t, server.Addr)
	l, err := ratelimit.New(ratelimit.Config{Store: s})
	require.NoError(t, err)
	server.Kill()
	p := perHour("a", "k", 1)
	for range 10 {
		d := l.Decide(t.Context(), p)
		require.Equal(t, ratelimit.CodeUnavailable, d.Code)
		require.Error(t, d.Refusal().Err)
	}
	require.Eventually(t, func() bool {
		_, err := attempt(s, "k")
		return err != nil && s.Stats().Outages > 0
	}, 10*time.Second, 5*time.Millisecond)
	refused := l.Decide(t.Context(), p).Refusal()
	require.ErrorContains(t, refused, "not asked: ")
	require.Regexp(t, "refused|EOF|reset|deadline|closed", refused.Err.Error())
}

// authority returns a certificate for 127.0.0.1, and the roots that vouch for it.
func authority(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// relayed speaks TLS at the end of a long cable, and passes on to target.
func relayed(t *testing.T, target string, cert tls.Certificate, delay time.Duration) string {
	t.Helper()
	inner, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12,
	})
	require.NoError(t, err)
	outer, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = inner.Close(), outer.Close() })
	go relay(inner, target, 0)
	go relay(outer, inner.Addr().String(), delay)
	return outer.Addr().String()
}

func relay(l net.Listener, target string, delay time.Duration) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			out, err := net.Dial("tcp", target)
			if err != nil {
				_ = in.Close()
				return
			}
			go carry(out, in, delay)
			carry(in, out, delay)
		}()
	}
}

// carry copies; what comes in while something waits does not wait longer for it.
func carry(to io.WriteCloser, from io.ReadCloser, delay time.Duration) {
	type parcel struct {
		at   time.Time
		data []byte
	}
	parcels := make(chan parcel, 1000)
	go func() {
		defer func() { _, _ = to.Close(), from.Close() }()
		for p := range parcels {
			<-time.After(time.Until(p.at))
			if _, err := to.Write(p.data); err != nil {
				return
			}
		}
	}()
	defer close(parcels)
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			parcels <- parcel{time.Now().Add(delay), append([]byte(nil), buf[:n]...)}
		}
		if err != nil {
			return
		}
	}
}
