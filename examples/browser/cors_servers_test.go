package browser

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/cors"
	"github.com/stretchr/testify/require"
)

// corsRecord is what happened to the requests for one path.
type corsRecord struct {
	decisions []string // "POST origin_listed"
	ran       []string // methods for which the handler ran
	cookies   string
	fetchSite string
}

// corsLog collects records by path.
type corsLog struct {
	mu      sync.Mutex
	records map[string]*corsRecord
}

func (l *corsLog) update(path string, change func(*corsRecord)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.records[path] == nil {
		l.records[path] = new(corsRecord)
	}
	change(l.records[path])
}

func (l *corsLog) get(path string) corsRecord {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.records[path] == nil {
		return corsRecord{}
	}
	return *l.records[path]
}

// corsWorld is three origins: the API behind the gate, with pages of its own;
// a listed one; and one nobody listed.
type corsWorld struct {
	corsLog
	api, listed, stranger string
}

// corsHost starts a server and returns its origin under that host name. Both
// names are the loopback interface, but to a browser they are two sites.
func corsHost(t *testing.T, host string) (origin string, start func(http.Handler)) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return "http://" + host + ":" + port, func(h http.Handler) {
		server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: h}}
		server.Start()
		t.Cleanup(server.Close)
	}
}

func (world *corsWorld) origin(name string) string {
	return map[string]string{
		"api": world.api, "listed": world.listed, "stranger": world.stranger,
	}[name]
}

func newCorsWorld(t *testing.T, withOwn bool) *corsWorld {
	world := &corsWorld{corsLog: corsLog{records: make(map[string]*corsRecord)}}
	var startAPI, startListed, startStranger func(http.Handler)
	world.api, startAPI = corsHost(t, "localhost")
	world.listed, startListed = corsHost(t, "127.0.0.1")
	world.stranger, startStranger = corsHost(t, "127.0.0.1")
	own := []string{"none"}
	if withOwn {
		own = []string{world.api}
	}
	gate, err := cors.New(cors.Config{
		Origins:        []string{world.listed},
		OwnOrigins:     own,
		Methods:        []string{"PUT"},
		RequestHeaders: []string{"X-Ops-Ts"},
		ExposedHeaders: []string{"X-Opsmantik-Ratelimit"},
		Credentials:    true,
		OnEvent: func(_ context.Context, e sallyport.Event) {
			world.update(e.Request.URL.Path, func(record *corsRecord) {
				record.decisions = append(record.decisions, e.Request.Method+" "+e.Code)
				record.fetchSite = e.Request.Header.Get("Sec-Fetch-Site")
			})
		},
	})
	require.NoError(t, err)
	api := http.NewServeMux()
	api.HandleFunc("/page", page)
	api.HandleFunc("/redirect/", redirect(world.api))
	api.HandleFunc("/", world.handle)
	startAPI(gate.Wrap(api))

	pages := http.NewServeMux()
	pages.HandleFunc("/page", page)
	pages.HandleFunc("/redirect/", redirect(world.api))
	startListed(pages)
	startStranger(pages)
	return world
}

// handle is the handler that only allowed requests may reach.
func (world *corsWorld) handle(w http.ResponseWriter, r *http.Request) {
	world.update(r.URL.Path, func(record *corsRecord) {
		record.ran = append(record.ran, r.Method)
		record.cookies = r.Header.Get("Cookie")
	})
	if r.Header.Get("Upgrade") == "websocket" {
		acceptWebSocket(w, r)
		return
	}
	w.Header().Set("X-Opsmantik-Ratelimit", "1")
	fmt.Fprint(w, "done")
}

// page is an empty document with the referrer policy of its query.
func page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	http.SetCookie(w, &http.Cookie{Name: "visitor", Value: "7", SameSite: http.SameSiteLaxMode})
	fmt.Fprintf(w, "<!doctype html><meta name=referrer content=%q><link rel=icon href=data:,>",
		html.EscapeString(r.URL.Query().Get("referrer")))
}

// redirect sends /redirect/x to the API's /x, and lets any page follow.
func redirect(api string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if w.Header().Get("Access-Control-Allow-Origin") == "" {
			w.Header().Set("Access-Control-Allow-Origin", "*")
		}
		path := strings.TrimPrefix(r.URL.Path, "/redirect")
		http.Redirect(w, r, api+path, http.StatusTemporaryRedirect)
	}
}

// acceptWebSocket completes the handshake of RFC 6455 section 4.2.2.
func acceptWebSocket(w http.ResponseWriter, r *http.Request) {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + guid))
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Upgrade", "websocket")
	w.Header().Set("Sec-Websocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
	w.WriteHeader(http.StatusSwitchingProtocols)
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}
