package sessions_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/sessions/redissession"
)

// stores are both stores of sessions, the shared one seen by two instances.
func stores(t testing.TB) map[string][]sessions.Store {
	t.Helper()
	memory, err := sessions.NewMemory(sessions.MemoryConfig{})
	require.NoError(t, err)
	addr := loopback.Redis(t)
	shared := make([]sessions.Store, 2)
	for i := range shared {
		client := redis.NewClient(&redis.Options{
			Addr: addr, MaxRetries: -1, ContextTimeoutEnabled: true,
		})
		t.Cleanup(func() { _ = client.Close() })
		s, err := redissession.New(redissession.Config{Client: client})
		require.NoError(t, err)
		t.Cleanup(s.Close)
		shared[i] = s
	}
	return map[string][]sessions.Store{"memory": {memory}, "redis": shared}
}

// The model of one session: what a history must be equal to, one step after another.
type state struct {
	alive     bool
	key, last int // numbers of the current key, and of the one that just reads
	version   uint64
	data      string
	was       string // data when the last key was replaced
}

type action struct {
	kind    string // "load", "replace", "rotate", "end"
	key     int
	next    int
	version uint64
	data    string
}

type answer struct {
	err      error // nil, ErrNoSession or ErrConflict
	data     string
	replaced bool
	version  uint64
	ended    int
}

func step(s state, in action, out answer) (bool, state) {
	switch in.kind {
	case "load":
		switch {
		case s.alive && in.key == s.key:
			return out.err == nil && !out.replaced && out.data == s.data && out.version == s.version, s
		case s.alive && in.key == s.last:
			return out.err == nil && out.replaced && out.data == s.was, s
		}
		return errors.Is(out.err, sessions.ErrNoSession), s
	case "end":
		next := s
		next.alive = false
		return out.err == nil && (out.ended == 1) == s.alive, next
	}
	switch { // replace and rotate
	case !s.alive || in.key != s.key:
		return errors.Is(out.err, sessions.ErrNoSession), s
	case in.version != s.version:
		return errors.Is(out.err, sessions.ErrConflict), s
	}
	next := s
	next.version++
	next.data = in.data
	if in.kind == "rotate" {
		next.last, next.key, next.was = s.key, in.next, s.data
	}
	return out.err == nil && out.version == next.version, next
}

var model = porcupine.Model{
	Init: func() any { return state{alive: true, key: 1, last: -1, version: 1, data: `{"N":0}`} },
	Step: func(s, in, out any) (bool, any) {
		ok, next := step(s.(state), in.(action), out.(answer))
		return ok, next
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
}

func keyOf(round, n int) sessions.Key {
	k := sessions.Key{Tag: sessions.Tag("ada")}
	copy(k.Hash[:], fmt.Sprintf("%08d%08d%016d", n, round, 0))
	return k
}

// history runs clients against one session and records what each saw.
func history(ctx context.Context, t *testing.T, all []sessions.Store, round int) []porcupine.Operation {
	t.Helper()
	rec := &sessions.Record{
		Key: keyOf(round, 1), ID: fmt.Sprint("id", round), User: "ada", Level: 1,
		Idle: time.Hour, Lifetime: time.Hour, Data: []byte(`{"N":0}`),
	}
	_, err := all[0].Create(ctx, rec)
	require.NoError(t, err)
	const clients, each = 6, 12
	begin := time.Now()
	results := make([][]porcupine.Operation, clients)
	var done sync.WaitGroup
	for c := range clients {
		done.Go(func() {
			store := all[c%len(all)]
			seen := *rec
			seen.Version = 1
			key := 1
			for i := range each {
				in := action{kind: "load", key: key, version: seen.Version}
				switch p := rand.IntN(100); {
				case p < 30:
					in.kind, in.data = "replace", fmt.Sprintf(`{"N":%d}`, c*1000+i)
				case p < 40:
					in.kind, in.data, in.next = "rotate", fmt.Sprintf(`{"N":%d}`, c*1000+i), 100*c+i+2
				case p < 42:
					in.kind = "end"
				}
				op := porcupine.Operation{ClientId: c, Input: in, Call: time.Since(begin).Nanoseconds()}
				out, got := perform(ctx, store, round, seen, in)
				op.Output, op.Return = out, time.Since(begin).Nanoseconds()
				results[c] = append(results[c], op)
				if out.err == nil && in.kind != "end" && !out.replaced {
					seen = got
					if in.kind == "rotate" {
						key = in.next
					}
				}
			}
		})
	}
	done.Wait()
	var ops []porcupine.Operation
	for _, r := range results {
		ops = append(ops, r...)
	}
	return ops
}

func perform(
	ctx context.Context, s sessions.Store, round int, seen sessions.Record, in action,
) (answer, sessions.Record) {
	var got sessions.Record
	var out answer
	switch in.kind {
	case "load":
		got, out.err = s.Load(ctx, keyOf(round, in.key), sessions.Use)
		out.data, out.replaced = string(got.Data), got.Replaced
	case "end":
		out.ended, out.err = s.End(ctx, sessions.Selection{User: "ada", Only: seen.ID})
	default:
		next := seen
		next.Key, next.Data = keyOf(round, in.key), []byte(in.data)
		if in.kind == "rotate" {
			next.Key = keyOf(round, in.next)
		}
		got, out.err = s.Replace(ctx, keyOf(round, in.key), &next)
	}
	out.version = got.Version
	return out, got
}

// Every history of both stores is one that could have happened in single file.
func TestHistoriesAreLinearisable(t *testing.T) {
	for name, all := range stores(t) {
		t.Run(name, func(t *testing.T) {
			for round := range 200 {
				ops := history(t.Context(), t, all, round)
				result := porcupine.CheckOperationsTimeout(model, ops, 20*time.Second)
				if result != porcupine.Ok {
					for _, op := range ops {
						t.Log(op.ClientId, op.Call, op.Return, model.DescribeOperation(op.Input, op.Output))
					}
					require.Equal(t, porcupine.Ok, result, "round %d", round)
				}
			}
		})
	}
}
