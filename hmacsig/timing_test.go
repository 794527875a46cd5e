package hmacsig_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opsmantik/sallyport/hmacsig"
)

// leak is the method of dudect (Reparaz, Balasch, Verbauwhede: "Dude, is my
// code constant time?", 2017): two classes of input in random order, the slow
// tail cropped, Welch's t-test. |t| beyond 4.5 is what dudect calls a leak;
// beyond 10, overwhelming. It is printed as the metric "t".
func leak(b *testing.B, class [2]func()) {
	const samples, batch = 20_000, 8
	var times [2][]float64
	for range samples {
		c := rand.IntN(2)
		start := time.Now()
		for range batch {
			class[c]()
		}
		times[c] = append(times[c], float64(time.Since(start)))
	}
	for b.Loop() {
		class[0]()
	}
	b.ReportMetric(welch(crop(times[0]), crop(times[1])), "t")
	b.ReportMetric(median(times[1])/median(times[0]), "ratio")
}

func crop(x []float64) []float64 {
	x = slices.Clone(x)
	slices.Sort(x)
	return x[:len(x)*8/10]
}

func median(x []float64) float64 {
	x = slices.Clone(x)
	slices.Sort(x)
	return x[len(x)/2]
}

func welch(x, y []float64) float64 {
	mean := func(v []float64) (m, variance float64) {
		for _, f := range v {
			m += f / float64(len(v))
		}
		for _, f := range v {
			variance += (f - m) * (f - m) / float64(len(v)-1)
		}
		return m, variance
	}
	mx, vx := mean(x)
	my, vy := mean(y)
	return (mx - my) / math.Sqrt(vx/float64(len(x))+vy/float64(len(y)))
}

// sink keeps the compiler from dropping what has no use.
var sink int

func count(equal bool) {
	if equal {
		sink++
	}
}

func BenchmarkTimingEqual(b *testing.B) {
	secret := bytes.Repeat([]byte{7}, 4096)
	first, last := bytes.Clone(secret), bytes.Clone(secret)
	first[0]++
	last[len(last)-1]++
	b.Run("hmacsig.Equal", func(b *testing.B) {
		leak(b, [2]func(){
			func() { count(hmacsig.Equal(secret, first)) },
			func() { count(hmacsig.Equal(secret, last)) },
		})
	})
	b.Run("bytes.Equal for comparison", func(b *testing.B) {
		leak(b, [2]func(){
			func() { count(bytes.Equal(secret, first)) },
			func() { count(bytes.Equal(secret, last)) },
		})
	})
}

// BenchmarkTimingSites compares the refusal of a forgery for a site that
// exists with that for one that does not.
func BenchmarkTimingSites(b *testing.B) {
	known := strings.Repeat("a", 32)
	for _, next := range []hmacsig.Secret{{}, hmacsig.Generate()} {
		name := "one key"
		if !next.IsZero() {
			name = "two keys"
		}
		b.Run(name, func(b *testing.B) {
			v, err := hmacsig.New(hmacsig.Config{
				Scheme: hmacsig.OpsMantik(),
				Keys:   hmacsig.StaticKeys{known: rotation(b, hmacsig.Generate(), next)},
			})
			if err != nil {
				b.Fatal(err)
			}
			forge := func(site string) func() {
				source := rewind{bytes.NewReader(make([]byte, 256))}
				r := httptest.NewRequest(http.MethodPost, "/", nil)
				r.Header.Set("X-Ops-Site-Id", site)
				r.Header.Set("X-Ops-Ts", "1795299383")
				r.Header.Set("X-Ops-Signature", strings.Repeat("0", 64))
				r.ContentLength = 256
				return func() {
					_, _ = source.Seek(0, 0)
					r.Body = source
					_, err := v.Check(r)
					count(err == nil)
				}
			}
			forge(known)() // the first forgery tells the verifier how many keys there are
			leak(b, [2]func(){forge(known), forge(strings.Repeat("b", 32))})
		})
	}
}
