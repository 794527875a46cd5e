package scrub_test

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/opsmantik/sallyport/scrub"
)

func Example() {
	s, err := scrub.New(scrub.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	text, report := s.String("ann@example.com paid with 4929 7181 2345 6789, token=abc-123-def")
	fmt.Println(text)
	for detector, n := range report.All() {
		fmt.Println(detector, n)
	}
	// Output:
	// [email] paid with [card], token=[secret]
	// email 1
	// card 1
	// secret 1
}

// A handler behind another one is too late: slog.JSONHandler has rendered the
// struct already, and a tag says nothing to it. Scrubber.Handler goes first.
func Example_incorrect() {
	type customer struct {
		Name string `pii:"confidential"`
		Plan string `pii:"public"`
	}
	ann := customer{Name: "Ann Lee", Plan: "gold"}
	s, _ := scrub.New(scrub.Config{})
	drop := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}
		return a
	}
	plain := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: drop})

	text, _ := s.String(fmt.Sprintf("%+v", ann)) // wrong: rendered, then scrubbed
	fmt.Println(text)
	slog.New(s.Handler(plain)).Info("right", "customer", ann)
	// Output:
	// {Name:Ann Lee Plan:gold}
	// msg=right customer="map[Name:[confidential] Plan:gold]"
}

// Events are stored without card numbers but otherwise as they came.
func ExampleScrubber_AppendJSON() {
	cards, err := scrub.New(scrub.Config{Detectors: []scrub.Detector{scrub.Card}})
	if err != nil {
		fmt.Println(err)
		return
	}
	event := []byte(`{"el":"paid 4929-7181-2345-6789","ev":4929718123456789,"u":"https://a.test/?x=1"}`)
	clean, report := cards.AppendJSON(nil, event)
	fmt.Println(string(clean), report.Total())
	// Output:
	// {"el":"paid [card]","ev":"[card]","u":"https://a.test/?x=1"} 2
}
