package response_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/response"
)

// http.TimeoutHandler answers on one goroutine while the handler that it has given
// up goes on asking on another. The race detector is the judge.
func TestCommittedIsAskedAfterATimeout(t *testing.T) {
	t.Parallel()
	runs := 0
	w := response.New(httptest.NewRecorder(), func(int) { runs++ })
	var handler sync.WaitGroup
	handler.Add(1)
	slow := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		defer handler.Done()
		for deadline := time.Now().Add(10 * time.Second); !w.Committed(); {
			if time.Now().After(deadline) {
				t.Error("the answer was never seen")
				return
			}
		}
	})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	http.TimeoutHandler(slow, time.Millisecond, "").ServeHTTP(w, r)
	handler.Wait()
	require.Equal(t, 1, runs)
}

func TestConcurrentCommitsRunOnce(t *testing.T) {
	t.Parallel()
	runs := make(chan int, 100)
	w := response.New(httptest.NewRecorder(), func(status int) { runs <- status })
	var all sync.WaitGroup
	for range cap(runs) {
		all.Go(func() { w.Commit(http.StatusOK) })
	}
	all.Wait()
	require.Len(t, runs, 1)
}
