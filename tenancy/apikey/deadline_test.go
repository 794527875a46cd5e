package apikey_test

import (
	"context"
	"crypto/sha256"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/tenancy/apikey"
)

// probe is a store that looks at its context in one way.
type probe struct {
	apikey.Store
	look func(context.Context)
}

func (p probe) Find(ctx context.Context, _ [sha256.Size]byte) (apikey.Record, error) {
	p.look(ctx)
	return apikey.Record{}, apikey.ErrNotFound
}

// Whatever a store does with its context, it ends when it should.
func TestDeadlineOfTheStore(t *testing.T) {
	t.Parallel()
	type key struct{}
	for name, look := range map[string]func(*testing.T, context.Context){
		"Deadline": func(t *testing.T, ctx context.Context) {
			at, ok := ctx.Deadline()
			require.True(t, ok)
			require.Equal(t, time.Now().Add(2*time.Second), at)
		},
		"Err": func(t *testing.T, ctx context.Context) {
			require.NoError(t, ctx.Err())
			time.Sleep(2*time.Second - 1)
			require.NoError(t, ctx.Err())
			time.Sleep(time.Nanosecond)
			require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
		},
		"Done": func(t *testing.T, ctx context.Context) {
			began := time.Now()
			<-ctx.Done()
			require.Equal(t, 2*time.Second, time.Since(began))
			require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
		},
		"a child": func(t *testing.T, ctx context.Context) {
			child, cancel := context.WithTimeout(ctx, time.Hour)
			defer cancel()
			began := time.Now()
			<-child.Done()
			require.Equal(t, 2*time.Second, time.Since(began))
		},
		"Value": func(t *testing.T, ctx context.Context) {
			require.Equal(t, "v", ctx.Value(key{}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var kept context.Context
				store := probe{look: func(ctx context.Context) { kept = ctx; look(t, ctx) }}
				g, _ := newGate(t, func(c *apikey.Config) { c.Store = store })
				r := with(apikey.NewKey("acme"))
				r = r.WithContext(context.WithValue(t.Context(), key{}, "v"))
				_, err := g.Check(r)
				require.Equal(t, apikey.CodeUnknown, code(err))
				require.Error(t, kept.Err(), "it ends with the decision")
				<-kept.Done()
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // the request's own end is further away
		parent, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		g, _ := newGate(t, func(c *apikey.Config) {
			c.Store = probe{look: func(ctx context.Context) {
				at, ok := ctx.Deadline()
				require.True(t, ok)
				require.Equal(t, time.Now().Add(2*time.Second), at)
			}}
		})
		_, _ = g.Check(with(apikey.NewKey("acme")).WithContext(parent))
	})
	synctest.Test(t, func(t *testing.T) { // the request's own end comes first
		parent, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		looked := 0
		g, _ := newGate(t, func(c *apikey.Config) {
			c.Store = probe{look: func(ctx context.Context) {
				at, _ := ctx.Deadline()
				require.Equal(t, time.Now().Add(time.Second), at)
				time.Sleep(time.Second)
				synctest.Wait()
				require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
				<-ctx.Done()
				looked++
			}}
		})
		_, _ = g.Check(with(apikey.NewKey("acme")).WithContext(parent))
		require.Equal(t, 1, looked)
	})
}
