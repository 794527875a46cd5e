package loginguard_test

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opsmantik/sallyport/ratelimit/loginguard"
	"github.com/stretchr/testify/require"
)

// Attempts that wait for their place while others fail are told so when their
// turn comes: waiting buys no guesses.
func TestWaitingBuysNoGuesses(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		factor, oneAddress bool
		most               int32
	}{
		"second factors, many addresses": {factor: true, most: 10},
		"second factors, one address":    {factor: true, oneAddress: true, most: 10},
		"passwords, one address":         {oneAddress: true, most: 5},
		"passwords, many addresses":      {most: 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				guard, err := loginguard.New(loginguard.Config{})
				require.NoError(t, err)
				begin := guard.Begin
				if row.factor {
					begin = guard.BeginFactor
				}
				var guesses atomic.Int32
				var wg sync.WaitGroup
				for i := range 300 {
					addr := netip.MustParseAddr("192.0.2.1")
					if !row.oneAddress {
						addr = netip.MustParseAddr(fmt.Sprintf("2001:db8:%x::1", i))
					}
					wg.Go(func() {
						attempt, err := begin(t.Context(), loginguard.Login{Addr: addr, Account: "a@b.test"})
						if err != nil {
							return
						}
						time.Sleep(50 * time.Millisecond) // the check itself
						guesses.Add(1)
						attempt.Fail(t.Context())
					})
				}
				wg.Wait()
				require.LessOrEqual(t, guesses.Load(), row.most)
				require.NotZero(t, guesses.Load())
			})
		})
	}
}
