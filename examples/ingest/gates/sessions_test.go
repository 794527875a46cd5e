package gates_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/gates"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
)

func TestSessionsAreToldApart(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ agent, peer, want string }{
		{
			"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:146.0) Gecko/20100101 Firefox/146.0", "192.0.2.7:1",
			"Firefox on Windows, 192.0.2.0/24",
		},
		{
			"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36 Edg/156.0.0.0",
			"[2001:db8:1:2:3::4]:1", "Edge on macOS, 2001:db8:1::/48",
		},
		{
			"Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1",
			"192.0.2.7:1", "Safari on iOS, 192.0.2.0/24",
		},
		{
			"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Mobile Safari/537.36",
			"192.0.2.7:1", "Chrome on Android, 192.0.2.0/24",
		},
		{"curl/8.5.0", "192.0.2.7:1", "A program on another system, 192.0.2.0/24"},
		{"", "192.0.2.7:1", "A program on another system, 192.0.2.0/24"},
	} {
		gate, err := clientaddr.New(clientaddr.Config{})
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = row.peer
		r.Header.Set("User-Agent", row.agent)
		got := gates.Client(r)
		require.NotContains(t, got, ",", "no address that nobody has proved")
		gate.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got = gates.Client(r)
		})).ServeHTTP(httptest.NewRecorder(), r)
		require.Equal(t, row.want, got)
	}
}
