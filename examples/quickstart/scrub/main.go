// Command scrub logs what should not be logged, scrubbed.
package main

import (
	"io"
	"log"
	"log/slog"
	"os"

	"github.com/opsmantik/sallyport/scrub"
)

func newLogger(w io.Writer) (*slog.Logger, error) {
	scrubber, err := scrub.New(scrub.Config{}) // every detector
	if err != nil {
		return nil, err
	}
	return slog.New(scrubber.Handler(slog.NewTextHandler(w, nil))), nil
}

func main() {
	logger, err := newLogger(os.Stdout)
	if err != nil {
		log.Fatal(err)
	}
	logger.Info("sign-in of ada@example.com",
		"authorization", "Bearer 7f9c2ba4e88f827d616045507605853e",
		"note", "paid with 5425 2334 3010 9903")
}
