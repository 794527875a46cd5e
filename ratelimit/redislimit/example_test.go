package redislimit_test

import (
	"context"
	"fmt"
	"time"

	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/redislimit"
)

// Without a server the store starts out, and each policy does as it says.
func Example() {
	client, err := redislimit.NewClient("redis://127.0.0.1:1")
	if err != nil {
		panic(err)
	}
	defer func() { _ = client.Close() }()
	store, err := redislimit.New(redislimit.Config{
		Client:  client,
		Secret:  []byte("the same sixteen or more in every instance"),
		Timeout: 50 * time.Millisecond,
	})
	if err != nil {
		panic(err)
	}
	defer func() { _ = store.Close() }()
	limiter, err := ratelimit.New(ratelimit.Config{Store: store, Instances: 4})
	if err != nil {
		panic(err)
	}
	for _, outage := range []ratelimit.Outage{ratelimit.Closed, ratelimit.Local, ratelimit.Open} {
		d := limiter.Decide(context.Background(), ratelimit.Policy{
			Name: "site", Key: ratelimit.TextKey("events").In("site-1"),
			Limit: ratelimit.PerMinute(2000), OnOutage: outage,
		})
		fmt.Println(outage, d.Allowed, d.Code, d.Remaining)
	}
	// Output:
	// closed false limiter_unavailable 0
	// local true limiter_degraded 499
	// open true limiter_degraded 0
}

// A secret made at start is different in every instance: each would count alone.
func Example_incorrect() {
	client, err := redislimit.NewClient("redis://127.0.0.1:1")
	if err != nil {
		panic(err)
	}
	defer func() { _ = client.Close() }()
	a, errA := redislimit.New(redislimit.Config{
		Client: client, Secret: []byte(time.Now().String()), // wrong
	})
	b, errB := redislimit.New(redislimit.Config{
		Client: client, Secret: nil, // refused, at least
	})
	fmt.Println(errA == nil, errB)
	_, _ = a.Close(), b.Close()
	// Output:
	// true redislimit: Secret: want at least 16 bytes
}
