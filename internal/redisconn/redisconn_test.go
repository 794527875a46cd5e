package redisconn_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/internal/redisconn"
)

func safe(addr string) *redis.Options {
	return &redis.Options{
		Addr: addr, MaxRetries: -1, ContextTimeoutEnabled: true, PoolSize: 12,
	}
}

// nobody is there: a Ring dials on its own, and no test leaves this machine.
func nobody(context.Context, string, string) (net.Conn, error) { return nil, io.EOF }

func check(cfg redisconn.Config) error {
	problems := configerr.For("gate")
	redisconn.Check(problems, cfg)
	return problems.Err()
}

// conn is a checked connection that ends with the test.
func conn(t *testing.T, o *redis.Options, probe func(context.Context, redis.UniversalClient) error,
) *redisconn.Conn {
	t.Helper()
	client := redis.NewClient(o)
	cfg := redisconn.Config{Client: client, Probe: probe}
	require.NoError(t, check(cfg))
	c := redisconn.New(cfg)
	c.Keep()
	t.Cleanup(func() {
		c.Close()
		c.Close()
		require.NoError(t, client.Close(), "the client is the caller's to close")
	})
	return c
}

func TestCheck(t *testing.T) {
	t.Parallel()
	with := func(edit func(*redis.Options)) redis.UniversalClient {
		o := safe("127.0.0.1:1")
		edit(o)
		return redis.NewClient(o)
	}
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	rows := []struct {
		name   string
		client redis.UniversalClient
		code   string
		want   string
	}{
		{"safe", redis.NewClient(safe("127.0.0.1:1")), "", ""},
		{"safe, IPv6", redis.NewClient(safe("[::1]:1")), "", ""},
		{"safe, by name", redis.NewClient(safe("localhost:1")), "", ""},
		{"none", nil, sallyport.ConfigRequired, "is the"},
		{"nil inside", (*redis.Client)(nil), sallyport.ConfigUnknown, "is nil"},
		{"nil cluster inside", (*redis.ClusterClient)(nil), sallyport.ConfigUnknown, "is nil"},
		{"nil ring inside", (*redis.Ring)(nil), sallyport.ConfigUnknown, "is nil"},
		{
			"of their own",
			struct{ redis.UniversalClient }{redis.NewClient(safe("127.0.0.1:1"))},
			sallyport.ConfigUnknown, "options cannot be seen",
		},
		{
			"retries by default", with(func(o *redis.Options) { o.MaxRetries = 0 }),
			sallyport.ConfigInsecure, "MaxRetries to -1",
		},
		{
			"deadlines ignored", with(func(o *redis.Options) { o.ContextTimeoutEnabled = false }),
			sallyport.ConfigInsecure, "ContextTimeoutEnabled",
		},
		{
			"in the clear", with(func(o *redis.Options) { o.Addr = "192.0.2.1:6379" }),
			sallyport.ConfigInsecure, "TLSConfig",
		},
		{
			"in the clear, by name", with(func(o *redis.Options) { o.Addr = "localhost.example:6379" }),
			sallyport.ConfigInsecure, "TLSConfig",
		},
		{"with TLS", with(func(o *redis.Options) {
			o.Addr, o.TLSConfig = "192.0.2.1:6379", secure
		}), "", ""},
		{"a socket", with(func(o *redis.Options) {
			o.Network, o.Addr = "unix", "/run/redis.sock"
		}), "", ""},
		{"any certificate", with(func(o *redis.Options) {
			o.TLSConfig = &tls.Config{InsecureSkipVerify: true} // #nosec G402 -- refused
		}), sallyport.ConfigInsecure, "any certificate"},
		{"a certificate checked by hand", with(func(o *redis.Options) {
			o.TLSConfig = &tls.Config{ // #nosec G402 -- verified below
				InsecureSkipVerify: true,
				VerifyConnection:   func(tls.ConnectionState) error { return nil },
			}
		}), "", ""},
		{"old TLS", with(func(o *redis.Options) {
			o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS11} // #nosec G402 -- refused
		}), sallyport.ConfigInsecure, "below 1.2"},
		{"old TLS at most", with(func(o *redis.Options) {
			o.TLSConfig = &tls.Config{MaxVersion: tls.VersionTLS11} // #nosec G402 -- refused
		}), sallyport.ConfigInsecure, "below 1.2"},
		{"safe cluster", redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: []string{"127.0.0.1:1"}, ContextTimeoutEnabled: true,
		}), "", ""},
		{"cluster with one node elsewhere", redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: []string{"127.0.0.1:1", "192.0.2.1:1"}, ContextTimeoutEnabled: true,
		}), sallyport.ConfigInsecure, "TLSConfig"},
		{"cluster that reads from replicas", redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: []string{"127.0.0.1:1"}, ContextTimeoutEnabled: true, ReadOnly: true,
		}), sallyport.ConfigInsecure, "replicas"},
		{"cluster that retries", redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: []string{"127.0.0.1:1"}, ContextTimeoutEnabled: true, MaxRetries: 1,
		}), sallyport.ConfigInsecure, "MaxRetries"},
		{"safe ring", redis.NewRing(&redis.RingOptions{
			Addrs: map[string]string{"a": "127.0.0.1:1"}, MaxRetries: -1, ContextTimeoutEnabled: true,
		}), "", ""},
		{"ring that retries by default", redis.NewRing(&redis.RingOptions{
			Addrs: map[string]string{"a": "127.0.0.1:1"}, ContextTimeoutEnabled: true,
		}), sallyport.ConfigInsecure, "MaxRetries"},
		{"ring elsewhere", redis.NewRing(&redis.RingOptions{
			Addrs: map[string]string{"a": "192.0.2.1:1"}, MaxRetries: -1, ContextTimeoutEnabled: true,
			Dialer: nobody,
		}), sallyport.ConfigInsecure, "TLSConfig"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			err := check(redisconn.Config{Client: row.client})
			if row.code == "" {
				require.NoError(t, err)
				return
			}
			var problem *sallyport.ConfigError
			require.ErrorAs(t, err, &problem)
			require.Equal(t, row.code, problem.Code)
			require.Equal(t, "Client", problem.Field)
			require.ErrorContains(t, err, row.want)
		})
	}
	require.NoError(t, check(redisconn.Config{
		Client: rows[10].client, AllowPlaintext: true,
	}), "in the clear, where that is allowed")
}

// TestEveryProblemAtOnce: an operator who sets one option at a time gives up.
func TestEveryProblemAtOnce(t *testing.T) {
	t.Parallel()
	err := check(redisconn.Config{Client: redis.NewClient(&redis.Options{Addr: "192.0.2.1:1"})})
	for _, want := range []string{"MaxRetries", "ContextTimeoutEnabled", "TLSConfig"} {
		require.ErrorContains(t, err, want)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		url  string
		want any
	}{
		{"redis://user:hunter2@127.0.0.1:1/3", &redis.Client{}},
		{"redis://127.0.0.1?max_retries=3", &redis.Client{}},
		{"rediss://192.0.2.1:1", &redis.Client{}},
		{"unix:///run/redis.sock?db=1", &redis.Client{}},
		{"redis://127.0.0.1:1?addr=127.0.0.1:2", &redis.ClusterClient{}},
		{"rediss://192.0.2.1:1?master_name=m&addr=192.0.2.1:2", &redis.Client{}},
		{"", nil},
		{"127.0.0.1:6379", nil},
		{"redis://", nil},
		{"http://user:hunter2@127.0.0.1", nil},
		{"redis://user:hunter2@127.0.0.1:port", nil},
		{"redis://user:hunter2@127.0.0.1/x", nil},
		{"redis://user:hunter2@127.0.0.1/x?master_name=m", nil},
	} {
		client, err := redisconn.Open(row.url)
		if row.want == nil {
			require.Error(t, err, row.url)
			require.NotContains(t, err.Error(), "hunter2")
			continue
		}
		require.NoError(t, err, row.url)
		require.IsType(t, row.want, client)
		require.NoError(t, check(redisconn.Config{Client: client}), row.url)
		require.NoError(t, client.Close())
	}
}

func TestConnect(t *testing.T) {
	t.Parallel()
	addr := loopback.Redis(t)
	probed := false
	c := conn(t, safe(addr), func(ctx context.Context, client redis.UniversalClient) error {
		probed = true
		return client.Set(ctx, "probe", 1, time.Second).Err()
	})
	require.NoError(t, c.Connect(t.Context()))
	require.True(t, probed)
	require.NotNil(t, c.Client())
	ready := c.Client().PoolStats()
	require.GreaterOrEqual(t, ready.IdleConns, uint32(10))
}

func TestConnectToClusterAndRing(t *testing.T) {
	t.Parallel()
	addrs := loopback.RedisCluster(t)
	cluster := redis.NewClusterClient(&redis.ClusterOptions{
		// go-redis races with itself over these on the first connections of a cluster.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		Addrs:                    addrs, ContextTimeoutEnabled: true, PoolSize: 3,
	})
	ring := redis.NewRing(&redis.RingOptions{
		Addrs:      map[string]string{"a": loopback.Redis(t), "b": loopback.Redis(t)},
		MaxRetries: -1, ContextTimeoutEnabled: true, PoolSize: 3,
	})
	for _, client := range []redis.UniversalClient{cluster, ring} {
		require.NoError(t, redisconn.New(redisconn.Config{Client: client}).Connect(t.Context()))
		require.GreaterOrEqual(t, client.PoolStats().IdleConns, uint32(6), "on every server")
		require.NoError(t, client.Close())
	}
	for _, maxmemory := range []string{"4mb", "0"} {
		evicts := redis.NewRing(&redis.RingOptions{
			Addrs: map[string]string{
				"a": loopback.Redis(t),
				"b": loopback.RedisWith(t, "--maxmemory", maxmemory, "--maxmemory-policy", "allkeys-lru"),
			},
			MaxRetries: -1, ContextTimeoutEnabled: true,
		})
		err := redisconn.New(redisconn.Config{Client: evicts}).Connect(t.Context())
		require.Equal(t, maxmemory == "4mb", redisconn.Refused(err), "one of them: %v", err)
		require.NoError(t, evicts.Close())
	}
}

func TestServerThatSaysNo(t *testing.T) {
	t.Parallel()
	open := loopback.Redis(t)
	locked := loopback.RedisWith(t, "--requirepass", "right", "--user",
		"limited", "on", ">right", "~*", "+ping", "+hello", "+client", "+set")
	evicting := loopback.RedisWith(t, "--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru")
	as := func(addr, user, password string) *redis.Options {
		o := safe(addr)
		o.Username, o.Password = user, password
		return o
	}
	set := func(ctx context.Context, c redis.UniversalClient) error {
		return c.Set(ctx, "k", 1, time.Second).Err()
	}
	eval := func(ctx context.Context, c redis.UniversalClient) error {
		return c.Eval(ctx, "return 1", nil).Err()
	}
	unknown := func(ctx context.Context, c redis.UniversalClient) error {
		return c.Do(ctx, "no.such.command").Err()
	}
	for _, row := range []struct {
		name    string
		options *redis.Options
		probe   func(context.Context, redis.UniversalClient) error
		want    string
	}{
		{"wrong password", as(locked, "limited", "wrong"), set, "WRONGPASS"},
		{"no password", safe(locked), set, "NOAUTH"},
		{"a password where none is wanted", as(open, "somebody", "x"), set, "WRONGPASS"},
		{"permitted, INFO is not", as(locked, "limited", "right"), set, ""},
		{"forbidden command", as(locked, "limited", "right"), eval, "NOPERM"},
		{"unknown command", safe(open), unknown, "unknown command"},
		{"evicts", safe(evicting), set, "noeviction"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			err := conn(t, row.options, row.probe).Connect(t.Context())
			if row.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, row.want)
			require.True(t, redisconn.Refused(err), "%v", err)
		})
	}
	client := redis.NewClient(safe(evicting))
	require.NoError(t, redisconn.New(redisconn.Config{
		Client: client, AllowEviction: true,
	}).Connect(t.Context()))
	require.NoError(t, client.Close())
}

// TestOutageIsNoRefusal: a program must be able to start while its Redis does not.
func TestOutageIsNoRefusal(t *testing.T) {
	t.Parallel()
	server := loopback.StartRedis(t)
	c := conn(t, safe(server.Addr), nil)
	server.Pause()
	started := time.Now()
	err := c.Connect(t.Context())
	server.Resume()
	require.Error(t, err)
	require.False(t, redisconn.Refused(err), "%v", err)
	require.Less(t, time.Since(started), 5*time.Second)
	server.Kill()
	err = c.Connect(t.Context())
	require.Error(t, err)
	require.False(t, redisconn.Refused(err), "%v", err)
	for _, text := range []string{"LOADING x", "READONLY x", "CLUSTERDOWN x", "OOM x"} {
		require.False(t, redisconn.Refused(answer(text)), text)
	}
	require.False(t, redisconn.Refused(nil))
	require.False(t, redisconn.Refused(redis.Nil))
	require.True(t, redisconn.Refused(answer("NOPERM x")))

	out := &redisconn.Outage{Cause: err}
	require.ErrorIs(t, out, err)
	require.ErrorContains(t, out, err.Error())
	require.ErrorContains(t, out, "not asked")
}

// answer is an error that a server sent.
type answer string

func (a answer) Error() string { return string(a) }
func (answer) RedisError()     {}

func process(c *redisconn.Conn, within time.Duration) error {
	cmd := redis.NewCmd(context.Background(), "set", "k", 1)
	return c.Process(context.Background(), time.Now().Add(within), cmd)
}

// TestFarServerWithTLS: at 40 ms a TLS connection takes 160 ms until its first
// answer, and a decision may take 60 ms.
func TestFarServerWithTLS(t *testing.T) {
	t.Parallel()
	certificate, roots := authority(t)
	const far = 20 * time.Millisecond // each way
	addr := delayed(t, terminated(t, loopback.Redis(t), certificate), far)
	o := safe(addr)
	o.TLSConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	c := conn(t, o, nil)
	require.NoError(t, c.Connect(t.Context()))
	// A busy machine is late for some; without the preparation it is none, ever.
	var answered atomic.Int32
	var all sync.WaitGroup
	start := time.Now()
	for range 10 {
		all.Go(func() {
			for answered.Load() < 30 && time.Since(start) < 30*time.Second {
				if process(c, 3*far) == nil {
					answered.Add(1)
				}
			}
		})
	}
	all.Wait()
	require.GreaterOrEqual(t, answered.Load(), int32(30))

	o = safe(addr)
	o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	err := conn(t, o, nil).Connect(t.Context())
	require.ErrorContains(t, err, "unknown authority")
	require.True(t, redisconn.Refused(err))
}

// TestBusyIsNotSent: who finds no connection free in time has not charged anybody.
func TestBusyIsNotSent(t *testing.T) {
	t.Parallel()
	server := loopback.StartRedis(t)
	o := safe(server.Addr)
	o.PoolSize = 1
	c := conn(t, o, nil)
	require.NoError(t, c.Connect(t.Context()))
	server.Pause()
	first := make(chan error)
	go func() { first <- process(c, time.Second) }()
	require.Eventually(t, func() bool {
		return errors.Is(process(c, time.Millisecond), redisconn.ErrBusy)
	}, 5*time.Second, time.Millisecond)
	require.Error(t, <-first)
	server.Resume()
	require.Eventually(t, func() bool { return process(c, time.Second) == nil },
		5*time.Second, 10*time.Millisecond)
}

// TestCommandsKeepTheirOwnDeadline, however many went before them.
func TestCommandsKeepTheirOwnDeadline(t *testing.T) {
	t.Parallel()
	server := loopback.StartRedis(t)
	c := conn(t, safe(server.Addr), nil)
	require.NoError(t, c.Connect(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		cmd := redis.NewCmd(ctx, "set", "k", 1)
		require.NoError(t, c.Process(ctx, time.Now().Add(10*time.Second), cmd), "cancelled, and sent")
	}
	server.Pause()
	for range 3 {
		start := time.Now()
		require.ErrorContains(t, process(c, 50*time.Millisecond), "i/o timeout")
		require.GreaterOrEqual(t, time.Since(start), 50*time.Millisecond)
	}
	server.Resume()
	require.Eventually(t, func() bool { return process(c, 10*time.Second) == nil },
		5*time.Second, 10*time.Millisecond)
	require.Error(t, process(c, -time.Second), "its time had come")
}

// TestLostConnectionsAreReplaced without waiting for a command to need them.
func TestLostConnectionsAreReplaced(t *testing.T) {
	t.Parallel()
	server := loopback.StartRedis(t)
	c := conn(t, safe(server.Addr), nil)
	require.NoError(t, c.Connect(t.Context()))
	server.Kill()
	require.Error(t, process(c, time.Second))
	server.Restart()
	require.Eventually(t, func() bool {
		_ = process(c, 100*time.Millisecond)
		return c.Client().PoolStats().IdleConns >= 10
	}, 10*time.Second, 20*time.Millisecond)
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

// terminated speaks TLS and passes on to target.
func terminated(t *testing.T, target string, certificate tls.Certificate) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go relay(l, target, 0)
	return l.Addr().String()
}

// delayed passes on to target, each way after a while, as a long cable does.
func delayed(t *testing.T, target string, delay time.Duration) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go relay(l, target, delay)
	return l.Addr().String()
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
		text string
	}
	parcels := make(chan parcel, 1000)
	go func() {
		defer func() { _, _ = to.Close(), from.Close() }()
		for p := range parcels {
			<-time.After(time.Until(p.at))
			if _, err := io.Copy(to, strings.NewReader(p.text)); err != nil {
				return
			}
		}
	}()
	defer close(parcels)
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			parcels <- parcel{time.Now().Add(delay), string(buf[:n])}
		}
		if err != nil {
			return
		}
	}
}
