package redissession_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/sessions/redissession"
)

// spring-projects/spring-session#3357 and #3183: under load some sessions are stored
// without an expiry, and indexes never have one.
func TestEveryKeyExpiresUnderLoad(t *testing.T) {
	t.Parallel()
	client := newClient(t, loopback.Redis(t))
	m := newManager(t, newStore(t, redissession.Config{Client: client}), 10*time.Second)
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := range 60 {
				user := fmt.Sprint("user", (w*60+i)%25)
				cookie := signIn(t, m, user)
				other := cookie
				within(m, &cookie, func(r *http.Request) {
					err := errors.Join(m.Update(r.Context(), increment),
						m.StepUp(r.Context(), sallyport.AAL2))
					if err != nil && !errors.Is(err, sessions.ErrNoSession) {
						t.Error(err)
					}
				})
				switch i % 20 {
				case 3:
					within(m, &other, func(r *http.Request) { _ = m.Logout(r.Context()) })
				case 7:
					_, _ = m.EndUser(t.Context(), user)
				case 11:
					_, _ = m.EndEveryone(t.Context())
				}
			}
		})
	}
	all.Wait()
	keys, err := client.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	require.NotEmpty(t, keys)
	for _, key := range keys {
		left, err := client.PTTL(t.Context(), key).Result()
		require.NoError(t, err)
		require.Positive(t, left, key)
		require.LessOrEqual(t, left, 12*time.Hour+time.Second, key)
	}
}

// spring-projects/spring-session#2869: expired sessions stay in the user's index, and
// are read again and again.
func TestExpiredSessionsLeaveTheIndex(t *testing.T) {
	t.Parallel()
	client := newClient(t, loopback.Redis(t))
	s, err := redissession.NewSkewed(redissession.Config{Client: client, Shards: 1})
	require.NoError(t, err)
	for i := range 10 {
		_, err := s.Create(t.Context(), sample("ada", i))
		require.NoError(t, err)
	}
	pass(t, client, time.Hour)
	index, err := client.Keys(t.Context(), "*:u:*").Result()
	require.NoError(t, err)
	require.Len(t, index, 1, "it outlives the sessions, up to their lifetime")
	list, err := s.List(t.Context(), "ada")
	require.NoError(t, err)
	require.Empty(t, list)
	left, err := client.Exists(t.Context(), index[0]).Result()
	require.NoError(t, err)
	require.Zero(t, left)
}
