package ratelimit_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/ratelimit"
)

const childEnv = "SALLYPORT_EXACT_CHILD"

func TestMain(m *testing.M) {
	if addr := os.Getenv(childEnv); addr != "" {
		os.Exit(child(addr))
	}
	os.Exit(m.Run())
}

// child is one of the processes of TestExactAcrossProcesses.
func child(addr string) int {
	t := &noTest{}
	s := openStore(t, addr, nil)
	l, err := ratelimit.New(ratelimit.Config{Store: s})
	if err != nil {
		return 1
	}
	var admitted, errors atomic.Int64
	var wg sync.WaitGroup
	for range 25 {
		wg.Go(func() {
			for range 50 {
				d := l.Decide(t.Context(), ratelimit.Policy{
					Name: "a", Key: ratelimit.TextKey("one"),
					// 100 a minute, none of which returns within the test.
					Limit: ratelimit.Limit{Count: 100, Window: time.Hour, Burst: 100},
				})
				if d.Allowed {
					admitted.Add(1)
				}
				if d.Err != nil {
					errors.Add(1)
				}
			}
		})
	}
	wg.Wait()
	fmt.Printf("%d %d\n", admitted.Load(), errors.Load())
	return 0
}

// Eight processes share a bucket of 100 and ask 10,000 times.
func TestExactAcrossProcesses(t *testing.T) {
	addr := loopback.Redis(t)
	const processes = 8
	var wg sync.WaitGroup
	out := make([]bytes.Buffer, processes)
	for i := range processes {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+addr)
		cmd.Stdout = &out[i]
		wg.Go(func() {
			if err := cmd.Run(); err != nil {
				t.Errorf("process: %v", err)
			}
		})
	}
	wg.Wait()
	admitted, errors := 0, 0
	for i := range out {
		fields := strings.Fields(out[i].String())
		require.Len(t, fields, 2)
		a, err := strconv.Atoi(fields[0])
		require.NoError(t, err)
		e, err := strconv.Atoi(fields[1])
		require.NoError(t, err)
		admitted, errors = admitted+a, errors+e
	}
	require.Equal(t, 100, admitted, "of 10,000")
	require.Zero(t, errors)
}
