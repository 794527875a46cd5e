package redisreplay_test

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/redisreplay"
)

// Without a server nothing can be claimed, so nothing is let in.
func Example() {
	client := redis.NewClient(&redis.Options{
		Addr: "127.0.0.1:1", MaxRetries: -1, ContextTimeoutEnabled: true,
	})
	defer func() { _ = client.Close() }()
	store, err := redisreplay.New(redisreplay.Config{
		Client: client, Prefix: "shop:calls:", Timeout: 50 * time.Millisecond,
	})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	state, err := store.Claim(context.Background(), hmacsig.ReplayEntry{
		KeyID: "site-1", At: time.Now(), Until: time.Now().Add(time.Minute),
	})
	fmt.Println(state == hmacsig.Claimed, err != nil)
	// Output: false true
}

// A client that retries sends a claim twice when an answer is lost, and the second
// finds the first in flight: the message would be refused for ever.
func Example_incorrect() {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"}) // wrong: three retries
	defer func() { _ = client.Close() }()
	_, err := redisreplay.New(redisreplay.Config{Client: client})
	fmt.Println(err)
	// Output:
	// hmacsig/redisreplay: Client: "MaxRetries=3": sends commands again whose outcome is unknown; set MaxRetries to -1
	// hmacsig/redisreplay: Client: waits longer than it is told to; set ContextTimeoutEnabled
}
