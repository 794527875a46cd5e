package tracker_test

import (
	"context"
	"fmt"

	"github.com/opsmantik/sallyport/sessions/tracker"
)

// Two events of one visitor are one visit; the same id at another site is another.
func Example() {
	memory, err := tracker.NewMemory(tracker.MemoryConfig{})
	if err != nil {
		panic(err)
	}
	visits, err := tracker.New(tracker.Config{Store: memory})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	const visitor = "3f2504e0-4f89-41d3-9a0c-0305e82c3301" // from the event's body
	first, _ := visits.Touch(ctx, "shop", visitor)
	second, _ := visits.Touch(ctx, "shop", visitor)
	elsewhere, _ := visits.Touch(ctx, "blog", visitor)
	fmt.Println(first.New(), second.New(), first.ID == second.ID, second.Events)
	fmt.Println(elsewhere.New(), elsewhere.ID == first.ID)
	// Output:
	// true false true 2
	// true false
}

// The visitor's id repeats after a pause. Rows that are grouped by it run two visits
// of a week apart together: group them by Visit.ID.
func ExampleTracker_Touch_incorrect() {
	memory, _ := tracker.NewMemory(tracker.MemoryConfig{})
	visits, _ := tracker.New(tracker.Config{Store: memory})
	const visitor = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
	visit, _ := visits.Touch(context.Background(), "shop", visitor)
	wrong := visit.Visitor // want visit.ID
	fmt.Println(wrong == visitor)
	// Output: true
}
