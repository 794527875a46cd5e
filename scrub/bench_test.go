package scrub_test

import (
	"strings"
	"testing"

	"github.com/opsmantik/sallyport/scrub"
)

const cleanLog = `time=2026-01-02T15:04:05.123Z level=INFO msg="request completed" method=GET ` +
	`path=/api/sync status=202 duration=12.3ms request_id=7f3d2c1a-9b8e-4f60-a1b2-c3d4e5f60718 ` +
	`The quick brown fox jumps over the lazy dog and 17 others. {"event":"view","count":3,"ok":true} ` + "\n"

func BenchmarkClean(b *testing.B) {
	src := []byte(strings.Repeat(cleanLog, 100<<10/len(cleanLog)))
	for _, cfg := range []struct {
		name string
		det  []scrub.Detector
	}{{"four", []scrub.Detector{scrub.Email, scrub.Card, scrub.Token}}, {"all", nil}} {
		b.Run(cfg.name, func(b *testing.B) {
			s := newScrubber(b, scrub.Config{Detectors: cfg.det})
			dst := make([]byte, 0, len(src)+100)
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = s.Append(dst[:0], src)
			}
		})
	}
}
