package scrub_test

import (
	"os"
	"strings"
	"testing"

	"github.com/opsmantik/sallyport/scrub"
)

func BenchmarkProf(b *testing.B) {
	s := newScrubber(b, scrub.Config{})
	u := os.Getenv("UNIT")
	src := []byte(strings.Repeat(u, 100<<10/len(u)))
	dst := make([]byte, 0, 2*len(src))
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		dst, _ = s.Append(dst[:0], src)
	}
}
