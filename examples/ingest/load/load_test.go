package load_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/load"
)

const site = "0123456789abcdef0123456789abcdef"

func config(url string) load.Config {
	return load.Config{
		URL: url, Site: site, Secret: "s3cr3t-s3cr3t-s3cr3t", Origin: "https://shop.example",
		Clients: 4, Batch: 20, Doubles: 20, Duration: 200 * time.Millisecond,
	}
}

// Load is for this machine, and bounded.
func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*load.Config){
		"another machine":  func(c *load.Config) { c.URL = "http://192.0.2.1:80" },
		"a name":           func(c *load.Config) { c.URL = "http://ingest.example:80" },
		"nothing":          func(c *load.Config) { c.URL = "" },
		"no clients":       func(c *load.Config) { c.Clients = 0 },
		"too many clients": func(c *load.Config) { c.Clients = 1001 },
		"too large":        func(c *load.Config) { c.Batch = 101 },
		"no end":           func(c *load.Config) { c.Duration = 0 },
		"too long":         func(c *load.Config) { c.Duration = 2 * time.Hour },
	} {
		cfg := config("http://127.0.0.1:1")
		change(&cfg)
		_, err := load.Run(t.Context(), cfg)
		require.Error(t, err, name)
	}
}

// forgetful acknowledges everything. It keeps what keep says, as often as that says.
type forgetful struct {
	keep func(label string) int
	mu   sync.Mutex
	rows []string
}

var names = regexp.MustCompile(`"(?:el|event_id)":"([^"]+)"`)

func (f *forgetful) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range names.FindAllSubmatch(body, -1) {
		seen := strings.Count(strings.Join(f.rows, " ")+" ", string(m[1])+" ")
		for range f.keep(string(m[1])) - seen {
			f.rows = append(f.rows, string(m[1]))
		}
	}
	w.WriteHeader(http.StatusAccepted)
}

// A server that loses one event of all that it acknowledged, or keeps one twice, is
// found out.
func TestTheLedgerFindsWhatIsLostAndWhatIsThereTwice(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		keep        func(label string) int
		lost, twice int
	}{
		"honest": {func(string) int { return 1 }, 0, 0},
		"loses": {func(label string) int {
			if label == "load-7" {
				return 0
			}
			return 1
		}, 1, 0},
		"doubles": {func(label string) int {
			if label == "load-7" {
				return 2
			}
			return 1
		}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &forgetful{keep: row.keep}
			server := httptest.NewServer(f)
			defer server.Close()
			report, err := load.Run(t.Context(), config(server.URL))
			require.NoError(t, err)
			for _, label := range append(f.rows, "somebody else's", "load-x", fmt.Sprint(1<<40)) {
				report.Ledger.Found(label)
			}
			lost, twice := report.Ledger.Settle()
			require.Equal(t, row.lost, lost)
			require.Equal(t, row.twice, twice)
			require.Positive(t, report.Ledger.Acknowledged())
			require.Empty(t, report.Unexpected())
		})
	}
}

// What the contract does not have is told.
func TestUnexpectedAnswersAreTold(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer server.Close()
	cfg := config(server.URL)
	cfg.Hostile = true
	report, err := load.Run(t.Context(), cfg)
	require.NoError(t, err)
	require.Positive(t, report.Unexpected()["batch 500"]+report.Unexpected()["call 500"])
}
