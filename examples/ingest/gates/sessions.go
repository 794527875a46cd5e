package gates

import (
	"net/http"
	"strings"

	"github.com/opsmantik/sallyport/examples/ingest/account"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
	"github.com/opsmantik/sallyport/sessions"
)

func newSessions(cfg Config, store sessions.Store) (*account.Sessions, error) {
	return sessions.New[account.Data](sessions.Config{
		Store: store, Client: client, OnEvent: cfg.OnEvent,
	})
}

// client is how people tell their sessions apart: "Firefox on Windows, 192.0.2.0/24".
// It proves nothing, and is no more exact than that: whole addresses and versions
// change every day.
func client(r *http.Request) string {
	agent := r.UserAgent()
	text := first(agent, browsers) + " on " + first(agent, systems)
	addr, ok := clientaddr.FromContext(r.Context())
	if !ok {
		return text
	}
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	network, err := addr.Prefix(bits)
	if err != nil {
		return text
	}
	return text + ", " + network.String()
}

// browsers and systems are pairs of what a User-Agent contains and what it means. The
// first that fits counts: most browsers name others too.
var (
	browsers = [][2]string{
		{"Edg", "Edge"},
		{"OPR/", "Opera"},
		{"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"},
		{"Chrome/", "Chrome"},
		{"Safari/", "Safari"},
		{"", "A program"},
	}
	systems = [][2]string{
		{"iPhone", "iOS"},
		{"iPad", "iPadOS"},
		{"Android", "Android"},
		{"Windows", "Windows"},
		{"Mac OS X", "macOS"},
		{"CrOS", "ChromeOS"},
		{"Linux", "Linux"},
		{"", "another system"},
	}
)

func first(agent string, table [][2]string) string {
	for _, row := range table {
		if strings.Contains(agent, row[0]) {
			return row[1]
		}
	}
	return ""
}
