package ratelimit_test

import (
	"context"
	"fmt"
	"math"
	"math/big"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
	"pgregory.net/rapid"

	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/ratelimit"
)

// model is a token bucket in rational numbers: the definition of the limit, as
// slow as it likes.
type model struct {
	rate, burst, tokens *big.Rat
	at                  int64
}

func newModel(l ratelimit.Limit, interval bool) *model {
	rate := big.NewRat(int64(l.Count), int64(l.Window))
	if interval {
		rate = big.NewRat(1, int64(l.Interval()))
	}
	burst := big.NewRat(int64(l.Capacity()), 1)
	return &model{rate: rate, burst: burst, tokens: new(big.Rat).Set(burst)}
}

// take refills until now and takes the cost if it is there.
func (m *model) take(now, cost int64) bool {
	if now > m.at {
		refill := new(big.Rat).Mul(m.rate, big.NewRat(now-m.at, 1))
		m.tokens.Add(m.tokens, refill)
		if m.tokens.Cmp(m.burst) > 0 {
			m.tokens.Set(m.burst)
		}
		m.at = now
	}
	c := big.NewRat(cost, 1)
	if m.tokens.Cmp(c) < 0 {
		return false
	}
	m.tokens.Sub(m.tokens, c)
	return true
}

type admission struct{ at, cost int64 }

// checkBound asserts that every interval of the history admits at most
// burst + rate*t, in integers: admitted*window <= burst*window + count*t.
func checkBound(t *rapid.T, l ratelimit.Limit, history []admission) {
	window := big.NewInt(int64(l.Window))
	for i := range history {
		sum := int64(0)
		for j := i; j < len(history); j++ {
			sum += history[j].cost
			have := new(big.Int).Mul(big.NewInt(sum-int64(l.Capacity())), window)
			span := big.NewInt(history[j].at - history[i].at)
			most := new(big.Int).Mul(big.NewInt(int64(l.Count)), span)
			if have.Cmp(most) > 0 {
				t.Fatalf("%+v admits %d within %v", l, sum, time.Duration(span.Int64()))
			}
		}
	}
}

func drawLimit(t *rapid.T) ratelimit.Limit {
	l := ratelimit.Limit{
		Count: rapid.IntRange(1, 5000).Draw(t, "count"),
		Window: rapid.SampledFrom([]time.Duration{
			time.Second, time.Minute, time.Hour, 7*time.Second + 13*time.Nanosecond,
		}).Draw(t, "window"),
		Burst: rapid.SampledFrom([]int{0, 1, 2, 7, 100}).Draw(t, "burst"),
	}
	return l
}

// agrees holds a decision against golang.org/x/time/rate, whose tokens are floating
// point: within two nanoseconds of the edge either answer is right.
func agrees(t *rapid.T, oracle *rate.Limiter, at time.Time, l ratelimit.Limit, cost int, fits bool) {
	short := (float64(cost) - oracle.TokensAt(at)) * float64(l.Interval()) // in nanoseconds
	if math.Abs(short) > 2 && fits != (short <= 0) {
		t.Fatalf("got %v, x/time/rate is short of %v ns", fits, short)
	}
	if fits {
		oracle.ReserveN(at, cost) // in debt by a fraction, if it must be
	}
}

// In process, against the model with the interval rounded up to a nanosecond:
// every decision is equal. Against x/time/rate: equal but for its rounding. Against
// the limit itself: never more.
func TestMemoryIsTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := drawLimit(rt)
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [2]int64 {
			interval := int64(l.Interval())
			return [2]int64{
				rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, 3*interval),
					rapid.SampledFrom([]int64{1, interval - 1, interval, interval + 1})).Draw(t, "wait"),
				rapid.Int64Range(1, min(int64(l.Capacity()), 4)).Draw(t, "cost"),
			}
		}), 1, 120).Draw(rt, "steps")
		var history []admission
		synctest.Test(t, func(*testing.T) {
			m := newMemory(t, 64)
			want := newModel(l, true)
			oracle := rate.NewLimiter(rate.Every(l.Interval()), l.Capacity())
			start := time.Now()
			for i, step := range steps {
				time.Sleep(time.Duration(step[0]))
				now := int64(time.Since(start))
				p := ratelimit.Policy{Name: "a", Key: ratelimit.TextKey("k"), Limit: l, Cost: int(step[1])}
				var r [1]ratelimit.Result
				if err := m.Take(context.Background(), []ratelimit.Policy{p}, r[:]); err != nil {
					rt.Fatal(err)
				}
				if admit := want.take(now, step[1]); admit != r[0].Fits {
					rt.Fatalf("step %d: got %v want %v (%+v)", i, r[0].Fits, admit, r[0])
				}
				agrees(rt, oracle, time.Now(), l, int(step[1]), r[0].Fits)
				if r[0].Fits {
					history = append(history, admission{now, step[1]})
				}
			}
		})
		checkBound(rt, l, history)
	})
}

// The script, on a server's clock that the test steps through by moving what
// is stored: never more than the limit, and equal to the model.
func TestRedisIsTheModel(t *testing.T) {
	addr := loopback.Redis(t)
	c := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = c.Close() })
	s := openStore(t, addr, nil)
	var serial atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		// Intervals far above the time that a step really takes.
		l := ratelimit.Limit{
			Count: rapid.IntRange(1, 20).Draw(rt, "count"), Window: 24 * time.Hour,
			Burst: rapid.IntRange(1, 30).Draw(rt, "burst"),
		}
		key := ratelimit.TextKey(fmt.Sprint(serial.Add(1)))
		want := newModel(l, true)
		var now int64
		var history []admission
		require.NoError(rt, c.FlushAll(context.Background()).Err())
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			// Always a little past an edge, so that real milliseconds cannot matter.
			wait := rapid.Int64Range(0, 4).Draw(rt, "wait")*int64(l.Interval())/2 +
				int64(l.Interval())/1000
			cost := rapid.Int64Range(1, int64(min(l.Capacity(), 3))).Draw(rt, "cost")
			now += wait
			shift(rt, c, wait)
			p := ratelimit.Policy{Name: "a", Key: key, Limit: l, Cost: int(cost)}
			looks := p
			looks.Cost = 0 // with a look beside, nothing is answered from memory
			looks.Name = "look"
			looks.Key = key
			var r [2]ratelimit.Result
			require.NoError(rt, s.Take(context.Background(), []ratelimit.Policy{p, looks}, r[:]))
			require.Equal(rt, want.take(now, cost), r[0].Fits)
			if r[0].Fits {
				history = append(history, admission{now, cost})
			}
		}
		checkBound(rt, l, history)
	})
}

// shift lets time pass for every bucket.
func shift(t *rapid.T, c *redis.Client, by int64) {
	ctx := context.Background()
	keys, err := c.Keys(ctx, "rl:*").Result()
	require.NoError(t, err)
	for _, key := range keys {
		if strings.HasSuffix(key, "probe") {
			continue
		}
		full, err := c.Get(ctx, key).Int64()
		require.NoError(t, err)
		require.NoError(t, c.Set(ctx, key, full-by, redis.KeepTTL).Err())
	}
}

// On the real clock, many workers and random pauses: every interval keeps the
// bound, measured on this side, where an admission is seen after it was made.
func TestRedisKeepsTheBoundInRealTime(t *testing.T) {
	addr := loopback.Redis(t)
	s := openStore(t, addr, nil)
	l := ratelimit.Limit{Count: 200, Window: time.Second, Burst: 20}
	start := time.Now()
	admitted := 0
	for time.Since(start) < 2*time.Second {
		p := ratelimit.Policy{Name: "a", Key: ratelimit.TextKey("k"), Limit: l, Cost: 1}
		var r [1]ratelimit.Result
		require.NoError(t, s.Take(t.Context(), []ratelimit.Policy{p}, r[:]))
		if r[0].Fits {
			admitted++
		}
	}
	most := 20 + int(200*time.Since(start).Seconds()) + 1
	require.LessOrEqual(t, admitted, most)
	require.GreaterOrEqual(t, admitted, most/2)
}

// noTest lets a child process use what tests use.
type noTest struct{ testing.TB }

func (*noTest) Helper()                   {}
func (*noTest) Cleanup(func())            {}
func (*noTest) Context() context.Context  { return context.Background() }
func (*noTest) Errorf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }
func (*noTest) FailNow()                  { panic("failed") }
