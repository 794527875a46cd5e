package cors_test

import (
	"flag"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/opsmantik/sallyport/cors"
)

var ratios = flag.Bool("ratios", false, "measure against the peers and print the table")

// job is one request to one handler.
type job struct {
	handler http.Handler
	request *http.Request
}

// sample is the best of several rounds: on a busy machine the fastest round is
// the one that was disturbed least.
type sample struct {
	ns     float64
	allocs uint64
}

// measure runs all jobs in turn, round after round, so that all of them see
// the same weather.
func measure(jobs ...job) []sample {
	const rounds, budget = 40, 3 * time.Millisecond
	best := make([]sample, len(jobs))
	for i := range best {
		best[i].ns = math.Inf(1)
	}
	for range rounds {
		for i, job := range jobs {
			w := &recorder{make(http.Header)}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			n, spent := 0, time.Duration(0)
			for spent < budget {
				start := time.Now()
				for range 64 {
					clear(w.header)
					job.handler.ServeHTTP(w, job.request)
				}
				took := time.Since(start)
				best[i].ns = min(best[i].ns, float64(took.Nanoseconds())/64)
				spent += took
				n += 64
			}
			runtime.ReadMemStats(&after)
			best[i].allocs = (after.Mallocs - before.Mallocs) / uint64(n)
		}
	}
	return best
}

// TestRatios prints the tables of docs/benchmarks.md, in Markdown. A number is
// time relative to sallyport's on the same line, with allocations in brackets.
func TestRatios(t *testing.T) {
	if !*ratios {
		t.Skip("needs -ratios and a quiet machine")
	}
	compare()
	scaling()
	hostileRatios()
	construction()
}

func compare() {
	all := peers()
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.name
	}
	fmt.Println("| request | origins |", strings.Join(names, " | "), "| ours / rs |")
	fmt.Println("|---|---|" + strings.Repeat("---|", len(all)+1))
	for _, req := range requests() {
		for _, n := range []int{1, 100, 10_000} {
			var jobs []job
			for _, p := range all {
				if p.name == "gin" && n > 100 {
					continue // a millisecond per request
				}
				jobs = append(jobs, job{p.wrap(originList(n)), req.make(n)})
			}
			samples := measure(jobs...)
			fmt.Printf("| %s | %d |", req.name, n)
			for i := range all {
				if i == len(samples) {
					fmt.Print(" - |")
					continue
				}
				fmt.Printf(" %.2f (%d) |", samples[i].ns/samples[1].ns, samples[i].allocs)
			}
			fmt.Printf(" %.2f |\n", samples[1].ns/samples[2].ns)
		}
	}
}

// scaling compares sallyport with itself.
func scaling() {
	allowed, disallowed := requests()[1], requests()[2]
	lists := measure(job{sallyport(originList(1)), allowed.make(1)},
		job{sallyport(originList(10_000)), allowed.make(10_000)})
	fmt.Printf("\nallowed, 10,000 origins to 1: %.2f\n", lists[1].ns/lists[0].ns)

	gate, err := cors.New(cors.Config{Origins: originList(100), OwnOrigins: none})
	if err != nil {
		panic(err)
	}
	r := disallowed.make(100)
	check := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { _, _ = gate.Check(r) })
	answer := measure(job{check, r}, job{gate.Wrap(inner), r})
	fmt.Printf("disallowed: Check is %.2f of the refusal (%d of %d allocs)\n",
		answer[0].ns/answer[1].ns, answer[0].allocs, answer[1].allocs)
}

// hostileRatios compares a megabyte with a small refused preflight.
func hostileRatios() {
	gate, rs := sallyport(originList(1)), peers()[2].wrap(originList(1))
	small := preflight("https://evil.example.net", asked)
	fmt.Println("\n| 1 MB of | ours to our small refusal | rs to its own |\n|---|---|---|")
	for _, req := range hostile() {
		r := req.make(1)
		s := measure(job{gate, small}, job{gate, r}, job{rs, small}, job{rs, r})
		fmt.Printf("| %s | %.2f (%d) | %.2f (%d) |\n", req.name,
			s[1].ns/s[0].ns, s[1].allocs, s[3].ns/s[2].ns, s[3].allocs)
	}
}

func construction() {
	const n = 10_000
	list := originList(n)
	best := time.Hour
	heap := heapInUse()
	gate, err := cors.New(cors.Config{Origins: list, OwnOrigins: none})
	if err != nil {
		panic(err)
	}
	heap = heapInUse() - heap
	for range 20 {
		start := time.Now()
		gate, _ = cors.New(cors.Config{Origins: list, OwnOrigins: none})
		best = min(best, time.Since(start))
	}
	fmt.Printf("\nNew with %d origins: %v, %d bytes of heap per origin\n", n, best, heap/n)
	runtime.KeepAlive(gate)

	const tenants, each = 10_000, 10
	lists := make(map[string][]string, tenants)
	for i := range tenants {
		lists[fmt.Sprint("tenant-", i)] = originList(each)
	}
	heap = heapInUse()
	start := time.Now()
	gate, err = cors.New(cors.Config{
		OwnOrigins: none, Tenants: lists, Tenant: func(r *http.Request) string { return r.Host },
	})
	took := time.Since(start)
	if err != nil {
		panic(err)
	}
	heap = heapInUse() - heap
	fmt.Printf("New with %d tenants of %d origins: %v, %d bytes of heap per origin\n",
		tenants, each, took, heap/(tenants*each))
	r := newRequest("POST", "Origin", originAt(each-1))
	r.Host = "tenant-7777"
	s := measure(job{gate.Wrap(inner), r}, job{sallyport(originList(each)), r})
	fmt.Printf("allowed by a tenant's list to allowed by Origins: %.2f (%d allocs)\n",
		s[0].ns/s[1].ns, s[0].allocs)
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
