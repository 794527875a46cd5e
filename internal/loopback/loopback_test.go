//go:build unix

package loopback

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRedis(t *testing.T) {
	t.Parallel()
	s := StartRedis(t)
	reply, err := redisCommand(s.Addr, "SET", "k", "v")
	require.NoError(t, err)
	require.Equal(t, "OK", reply)

	info, err := redisCommand(s.Addr, "INFO", "server")
	require.NoError(t, err)
	require.Contains(t, info, "process_id:"+strconv.Itoa(s.proc.cmd.Process.Pid)+"\r\n")

	second := Redis(t)
	require.NotEqual(t, s.Addr, second)
	reply, err = redisCommand(second, "EXISTS", "k")
	require.NoError(t, err)
	require.Equal(t, "0", reply, "each server is its own")
}

func TestRedisWithArguments(t *testing.T) {
	t.Parallel()
	// A caller cannot hide the readiness line or move the server elsewhere.
	addr := RedisWith(t, "--maxmemory", "3mb", "--loglevel", "warning", "--port", "1")
	info, err := redisCommand(addr, "INFO", "memory")
	require.NoError(t, err)
	require.Contains(t, info, "maxmemory:3145728\r\n")
}

func TestRedisKillAndRestart(t *testing.T) {
	t.Parallel()
	s := StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	_, err := redisCommand(s.Addr, "SET", "k", "kept")
	require.NoError(t, err)

	s.Kill()
	_, err = redisCommand(s.Addr, "PING")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	s.Kill() // the second one finds it gone

	addr := s.Addr
	s.Restart()
	require.Equal(t, addr, s.Addr)
	reply, err := redisCommand(s.Addr, "GET", "k")
	require.NoError(t, err)
	require.Equal(t, "kept", reply)
	s.Restart() // of a running server
	_, err = redisCommand(s.Addr, "PING")
	require.NoError(t, err)
}

func TestRedisPauseAndResume(t *testing.T) {
	t.Parallel()
	s := StartRedis(t)
	s.Pause()
	conn, err := net.Dial("tcp", s.Addr)
	require.NoError(t, err, "the kernel accepts for a paused process")
	defer conn.Close()
	_, err = conn.Write([]byte("PING\r\n"))
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	_, err = conn.Read(make([]byte, 64))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)

	s.Resume()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(stopTimeout)))
	reply := make([]byte, 64)
	n, err := conn.Read(reply)
	require.NoError(t, err)
	require.Equal(t, "+PONG\r\n", string(reply[:n]))

	s.Pause() // and the cleanup must end a paused server
}

func TestRedisCluster(t *testing.T) {
	t.Parallel()
	addrs := RedisCluster(t)
	require.Len(t, addrs, clusterNodes)
	owners := 0
	for _, addr := range addrs {
		// "k" hashes to one slot, so two nodes redirect and one obeys.
		reply, err := redisCommand(addr, "SET", "k", "v")
		if err == nil {
			require.Equal(t, "OK", reply)
			owners++
			continue
		}
		require.ErrorContains(t, err, "-MOVED")
	}
	require.Equal(t, 1, owners)
}

func TestPortTakenMeanwhile(t *testing.T) {
	t.Parallel()
	squatter, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer squatter.Close()
	taken := squatter.Addr().(*net.TCPAddr).Port
	calls := 0
	pick := func() (int, error) {
		if calls++; calls == 1 {
			return taken, nil
		}
		return freePort()
	}
	s := startRedis(t, pick, nil)
	require.Equal(t, 2, calls)
	require.NotEqual(t, taken, s.port)
	_, err = redisCommand(s.Addr, "PING")
	require.NoError(t, err)
}

func TestServerThatCannotStart(t *testing.T) {
	t.Parallel()
	redisServer.find(t)
	result := watch(t, func(tb testing.TB) { RedisWith(tb, "--no-such-option", "1") })
	require.Contains(t, result.fatal, "ended before it was ready")

	result = watch(t, func(tb testing.TB) {
		startRedis(tb, func() (int, error) { return 0, errors.New("no ports") }, nil)
	})
	require.Contains(t, result.fatal, "no ports")
}

func TestServerStopsWithItsTest(t *testing.T) {
	redisServer.find(t)
	var s *Server
	t.Run("inner", func(t *testing.T) { s = StartRedis(t) })
	_, err := redisCommand(s.Addr, "PING")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.ErrorIs(t, syscall.Kill(s.proc.cmd.Process.Pid, 0), syscall.ESRCH)
}

// TestServerDiesWithTestProcess runs this test binary again, kills it while a
// server runs, and expects the server to go with it.
func TestServerDiesWithTestProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has a parent-death signal")
	}
	redisServer.find(t)
	const name = "LOOPBACK_ORPHAN_ADDR_FILE"
	if file := os.Getenv(name); file != "" {
		addr := Redis(t)
		require.NoError(t, os.WriteFile(file+".part", []byte(addr), 0o600))
		require.NoError(t, os.Rename(file+".part", file))
		select {} // until killed
	}
	file := t.TempDir() + "/addr"
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithTestProcess$")
	cmd.Env = append(os.Environ(), name+"="+file, "TMPDIR="+t.TempDir())
	require.NoError(t, cmd.Start())
	var addr []byte
	require.Eventually(t, func() bool {
		var err error
		addr, err = os.ReadFile(file)
		return err == nil
	}, startTimeout, 10*time.Millisecond)
	_, err := redisCommand(string(addr), "PING")
	require.NoError(t, err)

	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.Eventually(t, func() bool {
		_, err := redisCommand(string(addr), "PING")
		return errors.Is(err, syscall.ECONNREFUSED)
	}, stopTimeout, 10*time.Millisecond, "the server outlived the test process")
}

func TestChromium(t *testing.T) {
	t.Parallel()
	info, err := os.Stat(Chromium(t))
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&0o111, "executable")
}

func TestMissingBinary(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	rows := []struct {
		name string
		call func(testing.TB)
		pkg  string
	}{
		{"redis", func(t testing.TB) { Redis(t) }, "redis-server"},
		{"cluster", func(t testing.TB) { RedisCluster(t) }, "redis-server"},
		{"chromium", func(t testing.TB) { Chromium(t) }, "chromium"},
		{
			"versioned",
			func(t testing.TB) { binary{[]string{"x"}, "/no/*/such", "postgresql"}.find(t) },
			"postgresql",
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Setenv(requireServices, "")
			result := watch(t, row.call)
			require.Contains(t, result.skip, "apt-get install "+row.pkg)
			require.Empty(t, result.fatal)

			t.Setenv(requireServices, "1")
			result = watch(t, row.call)
			require.Contains(t, result.fatal, "apt-get install "+row.pkg)
			require.Empty(t, result.skip)
		})
	}
}

func TestNewestVersionWins(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	for _, version := range []string{"14", "15"} {
		require.NoError(t, os.MkdirAll(dir+"/"+version, 0o750))
		require.NoError(t, os.WriteFile(dir+"/"+version+"/tool", nil, 0o600))
	}
	found := binary{[]string{"tool"}, dir + "/*/tool", "tool"}.find(t)
	require.True(t, strings.HasSuffix(found, "/15/tool"), found)
}

// outcome is how a call under watch ended.
type outcome struct {
	testing.TB
	skip, fatal string
}

// watch runs call with a TB that records Skipf and Fatalf; everything else is
// t's own.
func watch(t *testing.T, call func(testing.TB)) *outcome {
	t.Helper()
	o := &outcome{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		call(o)
	}()
	<-done
	return o
}

func (o *outcome) Skipf(format string, args ...any) {
	o.skip = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (o *outcome) Fatalf(format string, args ...any) {
	o.fatal = fmt.Sprintf(format, args...)
	runtime.Goexit()
}
