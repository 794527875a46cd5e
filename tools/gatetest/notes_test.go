package gatetest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opsmantik/sallyport/tools/gatetest"
)

// notes is a service of several tenants: each has notes, and two users. Its fields are
// where a broken one has another function.
type notes struct {
	mu   sync.Mutex
	rows map[string]*note // by id

	// site says for which tenant a request with a path is. Sound: the user's own.
	site func(r *http.Request, user string) string
	// find returns the note that a user may see. Sound: of the tenant of the user.
	find func(s *notes, user, id string) *note
	// id reads the id of a request. Sound: from the path alone.
	id func(r *http.Request) string
	// missing answers for a note that is not found.
	missing http.HandlerFunc
	// routes replaces handlers, by pattern.
	routes map[string]handle
	extra  map[string]handle // patterns that nobody declares
	jitter int               // up to so many milliseconds for each request
}

type note struct{ ID, Tenant, Text, Folder string }

// The notes of two tenants.
const (
	acme, globex   = "acme", "globex"
	acmeNote       = "8c5f26ff-3a1e-4a52-9f0e-5a7f6ed0e5a1"
	globexNote     = "1f0e77a2-95d6-4c4c-8b0c-0d8b3c1e6f42"
	globexNote2    = "77aa3b1c-0d52-4ed3-a6b7-cc2f0a9c1d10"
	acmeCanary     = "acme merges with initech"
	globexCanary   = "globex buys a volcano"
	globexCanary2  = "globex sells a volcano"
	acmeFolder     = "f-acme"
	globexFolder   = "f-globex"
	notesPath      = "/notes/"
	codeNotThere   = `{"code":"resource_not_found"}`
	codeNoIdentity = `{"code":"identity_required"}`
)

func newNotes() *notes {
	s := &notes{rows: map[string]*note{}}
	for _, n := range []note{
		{acmeNote, acme, acmeCanary, acmeFolder},
		{globexNote, globex, globexCanary, globexFolder},
		{globexNote2, globex, globexCanary2, globexFolder},
	} {
		s.rows[n.ID] = &n
	}
	s.site = func(r *http.Request, user string) string {
		if r.PathValue("tenant") != tenantOf(user) {
			return ""
		}
		return tenantOf(user)
	}
	s.find = func(s *notes, user, id string) *note {
		if n := s.rows[id]; n != nil && n.Tenant == tenantOf(user) {
			return n
		}
		return nil
	}
	s.id = func(r *http.Request) string { return r.PathValue("note") }
	s.missing = func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, codeNotThere)
	}
	return s
}

// tenantOf is whose a user is: acme-1 and acme-2 are of acme.
func tenantOf(user string) string { return strings.Split(user, "-")[0] }

var notesServed = []string{
	"GET /tenants/{tenant}/notes", "GET /notes/{note}", "PUT /notes/{note}", "DELETE /notes/{note}",
	"GET /search", "POST /move", "POST /batch", "GET /mine",
}

func (s *notes) handler() http.Handler {
	mux := http.NewServeMux()
	sound := map[string]func(*notes, http.ResponseWriter, *http.Request, string){
		"GET /tenants/{tenant}/notes": list, "GET /notes/{note}": show, "PUT /notes/{note}": put,
		"DELETE /notes/{note}": remove, "GET /search": search, "POST /move": move, "POST /batch": batch,
		"GET /mine": mine,
	}
	maps.Copy(sound, s.extra)
	for pattern, handle := range sound {
		if other := s.routes[pattern]; other != nil {
			handle = other
		}
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			user, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			if !ok {
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = io.WriteString(w, codeNoIdentity)
				return
			}
			if s.jitter > 0 {
				wait(time.Duration(rand.N(s.jitter*1000)) * time.Microsecond)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			handle(s, w, r, user)
		})
	}
	return mux
}

func list(s *notes, w http.ResponseWriter, r *http.Request, user string) {
	site := s.site(r, user)
	if site == "" {
		s.missing(w, r)
		return
	}
	write(w, s.of(func(n *note) bool { return n.Tenant == site }))
}

func mine(s *notes, w http.ResponseWriter, _ *http.Request, user string) {
	write(w, s.of(func(n *note) bool { return n.Tenant == tenantOf(user) }))
}

// of returns the notes that fit, in a fixed order.
func (s *notes) of(fits func(*note) bool) []note {
	all := []note{}
	for _, n := range s.rows {
		if fits(n) {
			all = append(all, *n)
		}
	}
	slices.SortFunc(all, func(a, b note) int { return strings.Compare(a.ID, b.ID) })
	return all
}

func show(s *notes, w http.ResponseWriter, r *http.Request, user string) {
	if n := s.find(s, user, s.id(r)); n != nil {
		write(w, n)
		return
	}
	s.missing(w, r)
}

func put(s *notes, w http.ResponseWriter, r *http.Request, user string) {
	n := s.find(s, user, s.id(r))
	if n == nil {
		s.missing(w, r)
		return
	}
	var body struct{ Text string }
	_ = json.NewDecoder(r.Body).Decode(&body)
	n.Text = body.Text
	write(w, n)
}

func remove(s *notes, w http.ResponseWriter, r *http.Request, user string) {
	if n := s.find(s, user, s.id(r)); n != nil {
		delete(s.rows, n.ID)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	s.missing(w, r)
}

func search(s *notes, w http.ResponseWriter, r *http.Request, user string) {
	n := s.find(s, user, r.URL.Query().Get("note"))
	if n == nil {
		write(w, []note{})
		return
	}
	write(w, []note{*n})
}

func move(s *notes, w http.ResponseWriter, r *http.Request, user string) {
	var body struct{ Note, Folder string }
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		http.Error(w, `{"code":"body"}`, http.StatusBadRequest)
		return
	}
	n := s.find(s, user, body.Note)
	if n == nil {
		s.missing(w, r)
		return
	}
	n.Folder = body.Folder
	write(w, n)
}

func batch(s *notes, w http.ResponseWriter, r *http.Request, user string) {
	var body struct{ Notes []string }
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		http.Error(w, `{"code":"body"}`, http.StatusBadRequest)
		return
	}
	all := []note{}
	for _, id := range body.Notes {
		if n := s.find(s, user, id); n != nil {
			all = append(all, *n)
		}
	}
	write(w, all)
}

func write(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(value)
}

// bearer signs a user in.
func bearer(user string) gatetest.SignIn {
	return func(testing.TB, http.Handler) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+user) }
	}
}

// notesSuite declares the service.
func notesSuite(change func(*notes)) gatetest.Suite {
	return gatetest.Suite{
		New: func(testing.TB, io.Writer) http.Handler {
			s := newNotes()
			change(s)
			return s.handler()
		},
		Tenants: func(testing.TB, http.Handler) []gatetest.Tenant {
			return []gatetest.Tenant{
				{
					Name: acme, Users: []gatetest.SignIn{bearer("acme-1"), bearer("acme-2")},
					IDs:      map[string][]string{"note": {acmeNote}, "tenant": {acme}, "folder": {acmeFolder}},
					Canaries: []string{acmeCanary},
				},
				{
					Name: globex, Users: []gatetest.SignIn{bearer("globex-1")},
					IDs: map[string][]string{
						"note": {globexNote, globexNote2}, "tenant": {globex}, "folder": {globexFolder},
					},
					Canaries: []string{globexCanary, globexCanary2},
				},
			}
		},
		Served: notesServed,
		Routes: []gatetest.Route{
			{Pattern: "GET /tenants/{tenant}/notes"},
			{Pattern: "GET /notes/{note}"},
			{Pattern: "PUT /notes/{note}", Body: `{"Text":"new"}`},
			{Pattern: "DELETE /notes/{note}"},
			{Pattern: "GET /search", Request: "GET /search?note={note}"},
			{Pattern: "POST /move", Body: `{"Note":"{note}","Folder":"away"}`},
			{Pattern: "POST /batch", Body: `{"Notes":["{note}"]}`},
			{Pattern: "GET /mine"},
		},
	}
}

// anybody finds a note, whoever asks.
func anybody(s *notes, _, id string) *note { return s.rows[id] }

// through finds a note by what a function makes of its id, whoever asks, while the
// test of the tenant sees the id as it came: it fits no note, and is let pass.
func through(decode func(id string) string) func(*notes, string, string) *note {
	return func(s *notes, user, id string) *note {
		if n := s.rows[id]; n != nil {
			if n.Tenant != tenantOf(user) {
				return nil
			}
			return n
		}
		return s.rows[decode(id)]
	}
}

// slow takes a moment for what exists.
func slow(d time.Duration) func(*notes, string, string) *note {
	return func(s *notes, user, id string) *note {
		n := s.rows[id]
		if n == nil {
			return nil
		}
		if n.Tenant != tenantOf(user) {
			wait(d)
			return nil
		}
		return n
	}
}

// wait is a delay that fits into a synctest bubble.
func wait(d time.Duration) { <-time.After(d) }

// unescape decodes once more than the router did.
func unescape(id string) string {
	text, err := url.PathUnescape(id)
	if err != nil {
		return id
	}
	return text
}

// told says in a header what it thinks of the note.
func told(status int, name, value string) func(*notes, http.ResponseWriter, *http.Request, string) {
	return func(s *notes, w http.ResponseWriter, r *http.Request, user string) {
		n := s.rows[s.id(r)]
		if n != nil && n.Tenant != tenantOf(user) {
			w.Header().Set(name, value)
			w.WriteHeader(status)
			fmt.Fprint(w, codeNotThere)
			return
		}
		show(s, w, r, user)
	}
}

// newOrders has orders with numbers that differ on each server.
func newOrders(sound bool) http.Handler {
	next := 1000 + rand.N(90_000) // short, and rarely the same twice
	owners := map[int]string{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		next++
		owners[next] = r.Header.Get("Authorization")
		fmt.Fprintln(w, next)
	})
	mux.HandleFunc("POST /lookup", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Order int }
		_ = json.NewDecoder(r.Body).Decode(&body)
		owner := owners[body.Order]
		if owner == "" || sound && owner != r.Header.Get("Authorization") {
			w.Header().Set("Location", fmt.Sprintf("/orders/%d", body.Order))
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprintf(w, `{"error":"there is no order %d, after '%c'","at":"%s"}`, body.Order,
				strconv.Itoa(body.Order)[0], time.Now().Format(time.RFC3339Nano))
			return
		}
		fmt.Fprintf(w, `{"order":%d,"time":%d}`, body.Order, time.Now().UnixNano())
	})
	return mux
}
