package ratelimit

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/problem"
)

// look is how answers look.
type look struct {
	legacy bool
	hide   bool
	jitter time.Duration
	base   string // of type URIs
}

// fields adds RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10):
//
//	RateLimit-Policy: "address";q=600;w=60
//	RateLimit: "address";r=599;t=1
//
// q is the burst, w the time in which an empty bucket becomes full, r what is
// left, and t the seconds until the bucket is full or, on a refusal, until a
// retry can pass. Several limiters on one request add to the lists.
func (k look) fields(h http.Header, d *Decision) {
	if k.hide || d.Limit.Window == 0 {
		return // the decision is about no limit that a client may know
	}
	if d.Code == CodeUnavailable {
		return // nothing is known about the budget
	}
	reset := d.Reset
	if !d.Allowed {
		reset = d.RetryAfter
	}
	// Both values in one string and one slice: two allocations.
	var buf [128]byte
	b := append(buf[:0], '"')
	b = append(b, d.Policy...)
	b = append(b, `";q=`...)
	b = appendInteger(b, int64(d.Limit.Capacity()))
	b = append(b, ";w="...)
	b = appendSeconds(b, d.Limit.Interval()*time.Duration(d.Limit.Capacity()))
	cut := len(b)
	b = append(b, '"')
	b = append(b, d.Policy...)
	b = append(b, `";r=`...)
	b = appendInteger(b, int64(d.Remaining))
	b = append(b, ";t="...)
	b = appendSeconds(b, reset)
	text := string(b)
	if h["Ratelimit"] == nil {
		values := [...]string{text[:cut], text[cut:]}
		h["Ratelimit-Policy"] = values[0:1:1]
		h["Ratelimit"] = values[1:2:2]
	} else {
		h["Ratelimit-Policy"] = append(h["Ratelimit-Policy"], text[:cut])
		h["Ratelimit"] = append(h["Ratelimit"], text[cut:])
	}
	if k.legacy {
		h["X-Ratelimit-Limit"] = []string{strconv.Itoa(d.Limit.Capacity())}
		h["X-Ratelimit-Remaining"] = []string{strconv.Itoa(d.Remaining)}
		h["X-Ratelimit-Reset"] = []string{ceilSeconds(reset)}
	}
}

// maxInteger is the largest integer of a structured field (RFC 9651 section
// 3.3.1). What is more than that is as good as it.
const maxInteger = 999_999_999_999_999

func appendInteger(b []byte, n int64) []byte {
	return strconv.AppendInt(b, min(n, maxInteger), 10)
}

// appendSeconds rounds up, so that no wait is too short.
func appendSeconds(b []byte, d time.Duration) []byte {
	return strconv.AppendInt(b, int64((d+time.Second-1)/time.Second), 10)
}

func ceilSeconds(d time.Duration) string { return string(appendSeconds(nil, d)) }

// spread adds the jitter to a wait. The draft asks that Retry-After is never
// earlier than t, so it only ever adds.
func (k look) spread(d time.Duration) time.Duration {
	if d <= 0 || k.jitter <= 0 {
		return d
	}
	return d + rand.N(k.jitter) // #nosec G404 -- spreads load, guards nothing
}

// maxAnswers bounds the cache of encoded refusals. Policy names are few.
const maxAnswers = 256

type answerKey struct{ code, policy string }

// answers caches encoded refusals by one policy: under attack they are the hot
// path.
type answers struct {
	mu    sync.RWMutex
	known map[answerKey]*problem.Problem
}

func (a *answers) find(r *sallyport.Refusal, policy string) *problem.Problem {
	key := answerKey{r.Code, policy}
	a.mu.RLock()
	p := a.known[key]
	a.mu.RUnlock()
	if p != nil {
		return p
	}
	p = problem.New(r.TypeBase, r.Status, r.Code, r.Title, r.Members)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known == nil {
		a.known = make(map[answerKey]*problem.Problem)
	}
	if len(a.known) < maxAnswers {
		a.known[key] = p
	}
	return p
}
