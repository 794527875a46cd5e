package scrub_test

import (
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/scrub"
)

// TestLinear feeds the detectors what makes each of them work hardest. A
// quadratic one would take 256 times as long for 16 times the size.
func TestLinear(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s := newScrubber(t, scrub.Config{})
	var dst []byte
	spent := func(src []byte) time.Duration {
		best := time.Hour
		for range 3 {
			start := threadTime()
			dst, _ = s.Append(dst[:0], src)
			best = min(best, threadTime()-start)
		}
		return best
	}
	for _, unit := range []string{
		"@", "a@", "a@b.", "1", "4 ", "1.", ".", "eyJ", "eyJabcdefghijklm.", `"`, `\`, `\u0040`, "%40", `{"a":[`,
		"-", "-----BEGIN ", ":", "a:", "password=", `"@`, "1\u200b", "DE89 3704 ", "bearer ", "://", "+1 ", "&#52;",
		"password:[", "://a:b", "Cookie: a;", "call 1", "a.b@", "[token", "-us", "secret is ",
		"&#52; ", "%34%20", "0%20", "sig=", "sig= ", "sig://", `"sig":"`, "٤", "٤٥ ", "1234 5678 ", "020 7946 ",
		`\u0061`, "a:b@tcp(", "@tcp(", "--user", "curl -u a:b ", "<password>\n", `"password","value":`, `"password":{`,
		`["token",`, "pat.", "aaaaaaaaaaaa_mmk", "12345678:AA", "sk-", "://a:b/", "key|", ".ey", "eyJabc.ey",
	} {
		small := max(spent([]byte(strings.Repeat(unit, 16<<10/len(unit)))), 10*time.Microsecond)
		large := spent([]byte(strings.Repeat(unit, 256<<10/len(unit))))
		require.Less(t, large, 40*small, "repeated %q: %v, then %v", unit, small, large)
	}
}

// threadTime is the processor time of this thread, which a busy machine does not
// distort (clock_gettime(2), CLOCK_THREAD_CPUTIME_ID).
func threadTime() time.Duration {
	const clock = 3
	var ts syscall.Timespec
	_, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clock,
		uintptr(unsafe.Pointer(&ts)), 0) // #nosec G103 -- the system call wants it
	if errno != 0 {
		return time.Duration(time.Now().UnixNano())
	}
	return time.Duration(ts.Nano())
}
