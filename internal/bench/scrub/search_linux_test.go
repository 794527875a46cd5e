package scrub

import (
	"flag"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

var search = flag.Duration("search", 0, "look for slow inputs for so long")

// atoms are what slow inputs are made of: the beginnings of everything that is
// recognised, all separators and all ways to spell a character.
var atoms = strings.Split(`1|4|12|1234|5678|4929|+|+1|00|0|(|)|-|--|.|..|_|/|,|:|::|;|=|==|@|#|%|&|*|~|'|"|\|\\|`+
	"`"+`| |  |	|\n|\u0040|\u0061|\u0034|%40|%34|%20|%2540|%61|&#52;|&#x40;|&commat;|٤|१|４|＠|é|日|`+"\u200b|\u00a0"+
	`|a|e|x|ab|a@|@b.|b.co|key|token|password|session|name|number|code|sig|pin|sid|auth|cookie|`+
	`Authorization|Bearer |bearer|basic |eyJ|.ey|ey|://|a:b|@tcp(|-u |--user|curl|BEGIN|-----|PRIVATE KEY|END|`+
	`sk-|AKIA|ghp_|xoxb-|SG.|:AA|Q~|_mmk|-us|.atlasv1.|s.|pat.|b_|0x|bc1|DE89|GB|call |phone|tel:|fe80|`+
	`{|}|[|]|<|>|</|is |was |value|="|":"|true|null|v1|id|ms`, "|")

// candidate is a unit that is repeated, and how slow the engine was on it.
type candidate struct {
	parts []string
	cost  float64 // thread time per byte, against clean text
}

func (c candidate) unit() string { return strings.Join(c.parts, "") }

// TestSearchWorstCases breeds inputs that take the engine long. Its finds are in
// the list of TestWorstCases.
func TestSearchWorstCases(t *testing.T) {
	if *search == 0 {
		t.Skip("needs -search 60s")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const size = 16 << 10
	s := scrubber(t)
	var dst []byte
	spent := func(src []byte) float64 {
		best := time.Hour
		for range 3 {
			start := threadTime()
			for range 2 {
				dst, _ = s.Append(dst[:0], src)
			}
			best = min(best, threadTime()-start)
		}
		return float64(best) / float64(len(src))
	}
	base := spent(fill(clean, size))
	rng := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano()))) // #nosec G404 -- a search
	judge := func(parts []string) candidate {
		c := candidate{parts: parts}
		c.cost = spent(fill(c.unit(), size)) / base
		return c
	}
	var pool []candidate
	for until := time.Now().Add(*search); time.Now().Before(until); {
		var parts []string
		if len(pool) < 40 || rng.IntN(8) == 0 {
			for range 1 + rng.IntN(4) {
				parts = append(parts, atoms[rng.IntN(len(atoms))])
			}
		} else {
			parts = mutate(rng, pool)
		}
		pool = append(pool, judge(parts))
		slices.SortFunc(pool, func(a, b candidate) int {
			if a.cost > b.cost {
				return -1
			}
			return 1
		})
		pool = slices.CompactFunc(pool, func(a, b candidate) bool { return a.unit() == b.unit() })
		pool = pool[:min(len(pool), 60)]
	}
	for _, c := range pool[:min(len(pool), 30)] {
		t.Logf("%6.1f x clean: %q", judge(c.parts).cost, c.unit())
	}
}

// mutate crosses two candidates and changes a part or two.
func mutate(rng *rand.Rand, pool []candidate) []string {
	a, b := pool[rng.IntN(min(len(pool), 20))].parts, pool[rng.IntN(len(pool))].parts
	parts := slices.Clone(a)
	switch rng.IntN(4) {
	case 0:
		parts = append(parts[:rng.IntN(len(parts))+1], b[rng.IntN(len(b)):]...)
	case 1:
		parts[rng.IntN(len(parts))] = atoms[rng.IntN(len(atoms))]
	case 2:
		parts = slices.Insert(parts, rng.IntN(len(parts)+1), atoms[rng.IntN(len(atoms))])
	default:
		if len(parts) > 1 {
			i := rng.IntN(len(parts))
			parts = slices.Delete(parts, i, i+1)
		}
	}
	return parts[:min(len(parts), 12)]
}

// threadTime is the processor time of this thread, which a busy machine does not
// distort (clock_gettime(2), CLOCK_THREAD_CPUTIME_ID).
func threadTime() time.Duration {
	const clock = 3
	var ts syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clock,
		uintptr(unsafe.Pointer(&ts)), 0); errno != 0 { // #nosec G103 -- the system call wants it
		return 0
	}
	return time.Duration(ts.Nano())
}
