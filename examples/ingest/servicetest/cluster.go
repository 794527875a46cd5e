//go:build unix

package servicetest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// StartRedisCluster starts three masters that share all slots.
func StartRedisCluster(t testing.TB, args ...string) []*Redis {
	t.Helper()
	args = append(args, "--cluster-enabled", "yes")
	nodes := make([]*Redis, 3)
	clients := make([]*redis.Client, 3)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i := range nodes {
		nodes[i] = StartRedis(t, args...)
		clients[i] = redis.NewClient(&redis.Options{Addr: nodes[i].Addr, MaxRetries: -1})
		defer func() { _ = clients[i].Close() }()
		first, last := i*16384/3, (i+1)*16384/3-1
		if err := clients[i].ClusterAddSlotsRange(ctx, first, last).Err(); err != nil {
			t.Fatal(err)
		}
		// Distinct epochs spare the nodes a round of conflict resolution.
		if err := clients[i].Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, node := range nodes[1:] {
		host, port, _ := net.SplitHostPort(node.Addr)
		if err := clients[0].ClusterMeet(ctx, host, port).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, client := range clients {
		for {
			info, err := client.ClusterInfo(ctx).Result()
			if err == nil && strings.Contains(info, "cluster_state:ok") &&
				strings.Contains(info, "cluster_known_nodes:3") {
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("no cluster: %v\n%s", err, info)
			}
			<-time.After(20 * time.Millisecond)
		}
	}
	return nodes
}

// StartSentinel starts a sentinel that watches a master under a name, calls it down
// after half a second without an answer, and alone decides on a failover. It returns
// its address.
func StartSentinel(t testing.TB, name string, master *Redis) string {
	t.Helper()
	addr := freeAddr(t)
	host, port, _ := net.SplitHostPort(master.Addr)
	_, own, _ := net.SplitHostPort(addr)
	text := fmt.Sprintf("port %s\nbind 127.0.0.1\nsentinel monitor %s %s %s 1\n"+
		"sentinel down-after-milliseconds %s 500\nsentinel failover-timeout %s 2000\n",
		own, name, host, port, name, name)
	file := filepath.Join(t.TempDir(), "sentinel.conf") // it keeps what it knows in it
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(master.path, file, "--sentinel") // #nosec G204 -- tests only
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
	})
	return addr
}

// Replicate starts a replica, and waits until it has what its master has.
func (r *Redis) Replicate() *Redis {
	r.t.Helper()
	host, port, _ := net.SplitHostPort(r.Addr)
	replica := StartRedis(r.t, append(r.args, "--replicaof", host+" "+port)...)
	client := redis.NewClient(&redis.Options{Addr: replica.Addr, MaxRetries: -1})
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		info, err := client.Info(ctx, "replication").Result()
		if err == nil && strings.Contains(info, "master_link_status:up") {
			return replica
		}
		if ctx.Err() != nil {
			r.t.Fatalf("no replica: %v\n%s", err, info)
		}
		<-time.After(20 * time.Millisecond)
	}
}
