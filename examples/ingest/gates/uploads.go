package gates

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
)

const (
	// maxUploads is how many bodies of events may be under way at once, and
	// maxUploadsFrom how many of one address. Each may hold its limit in memory: a
	// client that sends a body's half and waits must not hold much.
	maxUploads     = 256
	maxUploadsFrom = 64
	// uploadLimit is how long a body may take. The tracker's have 50 KiB.
	uploadLimit = 10 * time.Second
)

// codeUploadsBusy: 503. Too many bodies are under way, overall or from the address.
const codeUploadsBusy = "uploads_busy"

// uploads counts bodies under way. It bounds the memory of this process, so it
// counts in this process, and costs less than a look at a shared store.
type uploads struct {
	mu   sync.Mutex
	all  int
	from map[netip.Prefix]int // never more entries than all
}

// enter takes a place, if there is one.
func (u *uploads) enter(from netip.Prefix) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all >= maxUploads || u.from[from] >= maxUploadsFrom {
		return false
	}
	u.all++
	u.from[from]++
	return true
}

func (u *uploads) leave(from netip.Prefix) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all--
	if u.from[from]--; u.from[from] == 0 {
		delete(u.from, from)
	}
}

// Uploads lets a body in only while there is room for it. It stands in front of
// whatever reads one.
func (g *Gates) Uploads(next http.Handler) http.Handler {
	room := g.uploads
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		addr, _ := clientaddr.FromContext(r.Context())
		from, _ := addr.Prefix(min(addr.BitLen(), 64)) // one IPv6 network is one client
		if !room.enter(from) {
			g.cfg.OnEvent(r.Context(), sallyport.Event{Gate: "uploads", Code: codeUploadsBusy, Request: r})
			// Or the server would wait for the rest of the body before it answers.
			w.Header().Set("Connection", "close")
			reply.Unavailable(w, codeUploadsBusy, "Too many requests at once; try again")
			return
		}
		defer room.leave(from)
		// Without a deadline of its own, as in tests, there is none to shorten.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(uploadLimit))
		next.ServeHTTP(w, r)
	})
}
