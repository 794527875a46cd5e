package redissession_test

import (
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport/sessions/redissession"
)

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
