package rediswatch_test

import (
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport/audit/watch"
	"github.com/opsmantik/sallyport/audit/watch/rediswatch"
)

// Every instance of a service makes its engine so, with the same rules.
func Example() {
	client := redis.NewClient(&redis.Options{
		Addr: "127.0.0.1:1", MaxRetries: -1, ContextTimeoutEnabled: true, // out, here
	})
	merger, err := rediswatch.New(rediswatch.Config{Client: client, Prefix: "shop:watch:"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer merger.Close()
	_, err = watch.New(watch.Config{
		Series: []watch.Series{{Name: "decisions"}}, Merger: merger,
	})
	fmt.Println(err)
	// Output: <nil>
}

// A client with go-redis's default of retries adds the counts of a minute twice when an
// answer is lost, which looks like a rise.
func Example_incorrect() {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true})
	_, err := rediswatch.New(rediswatch.Config{Client: client})
	fmt.Println(err)
	// Output:
	// audit/watch/rediswatch: Client: "MaxRetries=3": sends commands again whose outcome is unknown; set MaxRetries to -1
}
