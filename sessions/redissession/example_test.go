package redissession_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/sessions/redissession"
)

// Without a server nobody is signed in, and nobody is taken for signed out: the error is
// not sessions.ErrNoSession, and protected routes answer 503.
func Example() {
	client := redis.NewClient(&redis.Options{
		Addr: "127.0.0.1:1", MaxRetries: -1, ContextTimeoutEnabled: true,
	})
	defer func() { _ = client.Close() }()
	store, err := redissession.New(redissession.Config{Client: client})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = store.List(ctx, "ada")
	fmt.Println(err != nil, errors.Is(err, sessions.ErrNoSession))
	// Output: true false
}

// The defaults of go-redis send commands again whose outcome is unknown, and ignore
// the deadline of a context. New says so before anything is sent.
func ExampleNew_incorrect() {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:6379"})
	_, err := redissession.New(redissession.Config{Client: client})
	fmt.Println(err)
	// Output:
	// redissession: Client: "MaxRetries=3": sends commands again whose outcome is unknown; set MaxRetries to -1
	// redissession: Client: waits longer than it is told to; set ContextTimeoutEnabled
}
