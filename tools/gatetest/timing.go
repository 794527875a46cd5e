package gatetest

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// What a difference in time takes to be reported. Under the hypothesis that time
// tells nothing, the order within each pair is a fair coin, whatever else the machine
// does: a finding by chance then needs a run of coins that comes once in a billion
// tries. How large the difference is has to matter as well.
const (
	minDelay   = 500 * time.Microsecond // less is not told from noise over a network
	chance     = 1e-9
	timeBudget = 3 * time.Second // for one place
)

// stages are after how many pairs the result is looked at.
var stages = []int{40, 80, 160}

// toldByTime measures how long the refusal takes for an id of another tenant and for
// one that exists nowhere.
func toldByTime(t *trial) (wrong []string) {
	t.tb.Helper()
	for victim := range t.tenants {
		if victim == 0 {
			continue
		}
		for _, h := range t.declared.holes(t.tenants[victim]) {
			fresh := t.fresh(t.tb)
			fresh.roams = true
			a := fresh.as(0, 0)
			if text := a.timed(h, fresh.tenants[victim]); text != "" {
				wrong = append(wrong, fmt.Sprintf("%s: %s", h, text))
			}
			fresh.close()
		}
	}
	return wrong
}

// timed says how much longer one of the two takes, or nothing.
func (a asker) timed(h hole, victim Tenant) string {
	a.tb.Helper()
	ids := [2]string{victim.IDs[h.kind][0], a.nowhere(h.kind)}
	var both [2]imprint
	for i, id := range ids { // not timed: the first request opens connections
		got, _ := a.clocked(h, id)
		if got.panicked != nil || got.status < 400 && !isSafe(a.method()) {
			return "" // it is not refused: another attack says so
		}
		both[i] = imprintOf(got, id)
	}
	if (twins{both[1], both[1]}).unlike(both[0]) != "" {
		return ""
	}
	begun := time.Now()
	var pairs []time.Duration
	for _, most := range stages {
		for len(pairs) < most {
			pairs = append(pairs, a.pair(h, ids))
			if time.Since(begun) > timeBudget {
				return verdict(pairs, victim.Name)
			}
		}
		if text := verdict(pairs, victim.Name); text != "" || !promising(pairs) {
			return text
		}
	}
	return ""
}

func (a asker) method() string { method, _ := a.declared.line(); return method }

// pair is by how much longer the answer takes for the first id, measured in an order
// that a coin decides.
func (a asker) pair(h hole, ids [2]string) time.Duration {
	a.tb.Helper()
	first := int(pick("\x00\x01"))
	_, one := a.clocked(h, ids[first])
	_, two := a.clocked(h, ids[1-first])
	if first == 0 {
		return one - two
	}
	return two - one
}

func (a asker) clocked(h hole, id string) (answer, time.Duration) {
	a.tb.Helper()
	d := a.with(func(at hole, quoted bool) (string, bool) { return h.escape(id, quoted), at == h })
	if d == nil {
		return answer{panicked: "not a request"}, 0
	}
	a.sent++
	d.RemoteAddr = fmt.Sprintf("[2001:db8:%x::7]:40000", a.sent%0xffff)
	a.sign(d)
	begun := time.Now()
	got := a.send(d.Request)
	return got, time.Since(begun)
}

// promising reports whether more pairs may tell more.
func promising(pairs []time.Duration) bool { return abs(median(pairs)) >= minDelay/2 }

// verdict says what the pairs prove.
func verdict(pairs []time.Duration, tenant string) string {
	longer, shorter := 0, 0
	for _, d := range pairs {
		switch {
		case d > 0:
			longer++
		case d < 0:
			shorter++
		}
	}
	delay := median(pairs)
	if abs(delay) < minDelay || tail(longer+shorter, max(longer, shorter)) > chance {
		return ""
	}
	word, times := "longer", longer
	if delay < 0 {
		word, times = "less", shorter
	}
	return fmt.Sprintf("%v %s for an id of tenant %s than for one that exists nowhere, in %d of %d pairs",
		abs(delay).Round(100*time.Microsecond), word, tenant, times, len(pairs))
}

// tail is the chance that n fair coins show one of the sides at least k times.
func tail(n, k int) float64 {
	if n == 0 || 2*k <= n {
		return 1
	}
	sum := 0.0
	all, _ := math.Lgamma(float64(n + 1))
	for i := k; i <= n; i++ {
		in, _ := math.Lgamma(float64(i + 1))
		out, _ := math.Lgamma(float64(n - i + 1))
		sum += math.Exp(all - in - out - float64(n)*math.Ln2)
	}
	return 2 * sum
}

func median(all []time.Duration) time.Duration {
	sorted := slices.SortedFunc(slices.Values(all), cmp.Compare[time.Duration])
	return sorted[len(sorted)/2]
}

func abs(d time.Duration) time.Duration { return max(d, -d) }
