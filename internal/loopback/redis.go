//go:build unix

package loopback

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Redis starts an empty in-memory redis-server and returns its address.
func Redis(t testing.TB) string {
	t.Helper()
	return StartRedis(t).Addr
}

// RedisWith is Redis with further command line arguments, such as
// "--maxmemory", "1mb".
func RedisWith(t testing.TB, args ...string) string {
	t.Helper()
	return StartRedis(t, args...).Addr
}

// StartRedis is for tests that kill, pause or restart the server.
func StartRedis(t testing.TB, args ...string) *Server {
	t.Helper()
	return startRedis(t, func() (int, error) { return freePort() }, args)
}

func startRedis(t testing.TB, pick func() (int, error), args []string) *Server {
	t.Helper()
	path, dir := redisServer.find(t), t.TempDir()
	s := &Server{t: t, stop: syscall.SIGKILL}
	s.command = func(port int) *exec.Cmd {
		all := []string{"--save", "", "--appendonly", "no"}
		all = append(all, args...)
		// Last wins: these are not the caller's to change.
		all = append(all, "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir,
			"--daemonize", "no", "--loglevel", "notice", "--logfile", "")
		return exec.Command(path, all...) // #nosec G204 -- tests only; path is redis-server
	}
	s.start(pick)
	return s
}

const (
	clusterNodes = 3
	clusterSlots = 16384
	busDistance  = 10000 // a node's cluster bus listens this far above its port
)

// RedisCluster starts three masters that share all slots, waits until each
// says cluster_state:ok, and returns their addresses.
func RedisCluster(t testing.TB) []string {
	t.Helper()
	addrs := make([]string, clusterNodes)
	pick := func() (int, error) { return freePort(busDistance) }
	for i := range addrs {
		args := []string{"--cluster-enabled", "yes", "--cluster-node-timeout", "15000"}
		addrs[i] = startRedis(t, pick, args).Addr
	}
	if err := formCluster(addrs); err != nil {
		t.Fatalf("loopback: redis cluster: %v", err)
	}
	return addrs
}

// formCluster does what redis-cli --cluster create does.
func formCluster(addrs []string) error {
	for i, addr := range addrs {
		first, last := i*clusterSlots/len(addrs), (i+1)*clusterSlots/len(addrs)-1
		if _, err := redisCommand(addr, "CLUSTER", "ADDSLOTSRANGE",
			strconv.Itoa(first), strconv.Itoa(last)); err != nil {
			return err
		}
		// Distinct epochs spare the nodes a round of conflict resolution.
		if _, err := redisCommand(addr, "CLUSTER", "SET-CONFIG-EPOCH",
			strconv.Itoa(i+1)); err != nil {
			return err
		}
	}
	for _, addr := range addrs[1:] {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return err
		}
		if _, err := redisCommand(addrs[0], "CLUSTER", "MEET", host, port); err != nil {
			return err
		}
	}
	for _, addr := range addrs {
		if err := awaitCluster(addr, len(addrs)); err != nil {
			return err
		}
	}
	return nil
}

func awaitCluster(addr string, nodes int) error {
	deadline := time.Now().Add(startTimeout)
	known := fmt.Sprintf("cluster_known_nodes:%d\r\n", nodes)
	for {
		info, err := redisCommand(addr, "CLUSTER", "INFO")
		if err != nil {
			return err
		}
		if strings.Contains(info, "cluster_state:ok") && strings.Contains(info, known) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not ok after %v:\n%s", addr, startTimeout, info)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// redisCommand sends one command on its own connection and returns a simple,
// integer or bulk string reply: all that the cluster needs of RESP.
func redisCommand(addr string, args ...string) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, stopTimeout)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(stopTimeout)); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return "", err
	}
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	switch line[0] {
	case '+', ':':
		return line[1:], nil
	case '$':
		size, err := strconv.Atoi(line[1:])
		if err != nil || size < 0 {
			return "", fmt.Errorf("%s: bad reply %q", args[0], line)
		}
		body := make([]byte, size)
		_, err = io.ReadFull(r, body)
		return string(body), err
	default:
		return "", fmt.Errorf("%s: %s", strings.Join(args, " "), line)
	}
}
