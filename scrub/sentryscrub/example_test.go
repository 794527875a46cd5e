package sentryscrub_test

import (
	"fmt"

	"github.com/getsentry/sentry-go"

	"github.com/opsmantik/sallyport/scrub"
	"github.com/opsmantik/sallyport/scrub/sentryscrub"
)

func Example() {
	s, err := scrub.New(scrub.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	//lint:ignore SA1019 applications still set it
	options := sentry.ClientOptions{Dsn: "", SendDefaultPII: true}
	guard, err := sentryscrub.Configure(&options, s)
	if err != nil {
		fmt.Println(err)
		return
	}
	event := options.BeforeSend(&sentry.Event{Message: "mail to ann@example.com bounced"}, nil)
	fmt.Println(event.Message, guard.Dropped())
	// Output: mail to [email] bounced 0
}

// Hooks that are set after Configure replace the first wall. Set them before.
func Example_incorrect() {
	s, _ := scrub.New(scrub.Config{})
	options := sentry.ClientOptions{}
	_, _ = sentryscrub.Configure(&options, s)
	options.BeforeSend = func(e *sentry.Event, _ *sentry.EventHint) *sentry.Event { return e } // wrong
	event := options.BeforeSend(&sentry.Event{Message: "to ann@example.com"}, nil)
	fmt.Println(event.Message) // only the second wall is left
	// Output: to ann@example.com
}
