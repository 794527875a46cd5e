package upstash_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/delivery"
	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
	"github.com/opsmantik/sallyport/examples/ingest/store/storetest"
	"github.com/opsmantik/sallyport/examples/ingest/upstash"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/qstash"
)

const (
	site  = "0123456789abcdef0123456789abcdef"
	token = "a token"
)

// standIn behaves as https://upstash.com/docs/qstash says of QStash: it takes messages
// for a bearer token, by publish and by batch, drops a second one of the same
// deduplication id with 202, and delivers each with a signature until the destination
// answers with success, or until the retries are used up.
type standIn struct {
	t      *testing.T
	secret hmacsig.Secret
	client *http.Client

	mu       sync.Mutex
	seen     map[string]string // message ids by deduplication id
	bodies   int
	dead     []string
	delivery sync.WaitGroup
	refuse   func(n int) bool // the n-th message, from 1
}

func (q *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if destination, ok := strings.CutPrefix(r.RequestURI, "/v2/publish/"); ok {
		status, answer := q.take(destination, r.Header.Get, string(body))
		w.WriteHeader(status)
		_ = json.MarshalWrite(w, answer)
		return
	}
	if r.URL.Path != "/v2/batch" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	var batch []struct {
		Destination string            `json:"destination"`
		Headers     map[string]string `json:"headers"`
		Body        string            `json:"body"`
	}
	if err := json.Unmarshal(body, &batch); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var answers []map[string]any
	for _, m := range batch {
		_, answer := q.take(m.Destination, func(name string) string { return m.Headers[name] }, m.Body)
		answers = append(answers, answer)
	}
	_ = json.MarshalWrite(w, answers)
}

func (q *standIn) take(destination string, header func(string) string, body string) (int, map[string]any) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bodies++
	if len(body) > 1<<20 || q.refuse != nil && q.refuse(q.bodies) {
		return http.StatusRequestEntityTooLarge, map[string]any{"error": "message too large"}
	}
	dedup := header("Upstash-Deduplication-Id")
	if id, ok := q.seen[dedup]; ok {
		return http.StatusAccepted, map[string]any{"messageId": id, "deduplicated": true}
	}
	id := fmt.Sprintf("msg_%d", q.bodies)
	q.seen[dedup] = id
	retries := 3
	_, _ = fmt.Sscan(header("Upstash-Retries"), &retries)
	q.delivery.Go(func() { q.deliver(destination, header("Content-Type"), id, body, retries) })
	return http.StatusCreated, map[string]any{"messageId": id}
}

func (q *standIn) deliver(destination, contentType, id, body string, retries int) {
	signer, err := qstash.NewSigner(qstash.SignerConfig{
		URL: destination, Secret: q.secret, MaxBodyBytes: delivery.MaxBody,
	})
	if err != nil {
		q.t.Errorf("signer: %v", err)
		return
	}
	for retried := range retries + 1 {
		req, err := http.NewRequest(http.MethodPost, destination, strings.NewReader(body))
		if err != nil {
			q.t.Errorf("request: %v", err)
			return
		}
		req.Header.Set("Content-Type", contentType)
		req.Header.Set("User-Agent", "Upstash-QStash")
		req.Header.Set("Upstash-Message-Id", id)
		req.Header.Set("Upstash-Retried", fmt.Sprint(retried))
		if err := signer.Sign(req); err != nil {
			q.t.Errorf("sign: %v", err)
			return
		}
		res, err := q.client.Do(req)
		if err != nil {
			continue
		}
		_ = res.Body.Close()
		if res.StatusCode < 300 {
			return
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dead = append(q.dead, id)
}

// rig is a worker behind its gate, and a stand-in that delivers to it.
type rig struct {
	db     *sqlite.DB
	queue  *standIn
	url    string // of the stand-in
	worker string
	fail   int // deliveries that are answered 503 first
	mu     sync.Mutex
}

func start(t *testing.T) *rig {
	t.Helper()
	r := &rig{}
	var err error
	r.db, err = sqlite.Open(t.Context(), t.TempDir(), sqlite.DangerouslyOff)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.db.Close()) })
	secret := hmacsig.Generate()
	mux := http.NewServeMux()
	worker := httptest.NewServer(mux)
	t.Cleanup(worker.Close)
	r.worker = worker.URL + "/api/sync/worker"
	replay, err := hmacsig.NewMemoryReplay(hmacsig.MemoryConfig{})
	require.NoError(t, err)
	gate, err := qstash.New(qstash.Config{
		URLs: []string{r.worker}, Current: secret, Replay: replay, MaxBodyBytes: delivery.MaxBody,
	})
	require.NoError(t, err)
	mux.Handle("POST /api/sync/worker", gate.Wrap(r.failing(
		&delivery.Worker{Events: r.db, Log: slog.New(slog.DiscardHandler)})))
	r.queue = &standIn{t: t, secret: secret, client: worker.Client(), seen: map[string]string{}}
	server := httptest.NewServer(r.queue)
	t.Cleanup(func() { server.Close(); r.queue.delivery.Wait() })
	r.url = server.URL
	return r
}

func (r *rig) failing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		fails := r.fail > 0
		r.fail--
		r.mu.Unlock()
		if fails {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, req)
	})
}

func (r *rig) producer(t *testing.T, change ...func(*upstash.Config)) *upstash.Producer {
	t.Helper()
	cfg := upstash.Config{URL: r.url, Token: token, WorkerURL: r.worker}
	for _, change := range change {
		change(&cfg)
	}
	p, err := upstash.New(cfg)
	require.NoError(t, err)
	return p
}

func events(prefix string, n, size int) []event.Received {
	all := make([]event.Received, n)
	for i := range all {
		id := fmt.Sprintf("%s-%d", prefix, i)
		all[i] = event.Received{ID: id, Site: site, At: time.Now().Truncate(time.Millisecond), Event: &event.Event{
			Site: site, URL: "https://shop.example/" + strings.Repeat("x", size), Category: "c", Action: "a", Label: id,
		}}
		all[i].Seal()
	}
	return all
}

func (r *rig) stored(t *testing.T) int {
	t.Helper()
	r.queue.delivery.Wait()
	rows, err := r.db.Events(t.Context(), storetest.Scope(t, "admin", site), 5000)
	require.NoError(t, err)
	return len(rows)
}

func TestWhatIsPublishedIsStored(t *testing.T) {
	t.Parallel()
	r := start(t)
	p := r.producer(t)
	batch := events("a", 20, 0)
	require.NoError(t, p.Enqueue(t.Context(), batch))
	require.NoError(t, p.Enqueue(t.Context(), batch), "202: QStash has it")
	require.Equal(t, 20, r.stored(t))
	require.Equal(t, 2, r.queue.bodies, "one message for each request")
	require.NoError(t, p.Ready(t.Context()))
}

func TestDeliveriesAreRetried(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.fail = 2
	require.NoError(t, r.producer(t).Enqueue(t.Context(), events("a", 3, 0)))
	require.Equal(t, 3, r.stored(t))
	require.Empty(t, r.queue.dead)
}

// QStash gives up where this server's own dispatcher would not.
func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.fail = 100
	p := r.producer(t, func(cfg *upstash.Config) { cfg.Retries = 1 })
	require.NoError(t, p.Enqueue(t.Context(), events("a", 3, 0)))
	require.Zero(t, r.stored(t))
	require.Len(t, r.queue.dead, 1)
}

// What is too large for one message is a batch of several.
func TestLargeRequestsAreABatch(t *testing.T) {
	t.Parallel()
	r := start(t)
	require.NoError(t, r.producer(t).Enqueue(t.Context(), events("a", 100, 0)[:100]))
	large := events("b", 400, 4000)
	require.NoError(t, r.producer(t).Enqueue(t.Context(), large))
	require.Equal(t, 500, r.stored(t))
	require.Greater(t, r.queue.bodies, 2)
}

// A message that was not taken, alone or among others, is not acknowledged.
func TestWhatIsNotTakenIsAnError(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		n      int
		change func(*upstash.Config)
		refuse func(int) bool
	}{
		"a wrong token":   {1, func(c *upstash.Config) { c.Token = "another" }, nil},
		"nobody there":    {1, func(c *upstash.Config) { c.URL = "http://127.0.0.1:1" }, nil},
		"refused":         {1, nil, func(int) bool { return true }},
		"one of a batch":  {400, nil, func(n int) bool { return n == 2 }},
		"somebody else's": {1, func(c *upstash.Config) { c.URL += "/elsewhere" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t)
			r.queue.refuse = row.refuse
			change := row.change
			if change == nil {
				change = func(*upstash.Config) {}
			}
			p := r.producer(t, change)
			err := p.Enqueue(t.Context(), events("a", row.n, 4000))
			require.Error(t, err)
			require.NotContains(t, err.Error(), token)
			require.Error(t, p.Ready(t.Context()))
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]upstash.Config{
		"no token":         {WorkerURL: "https://ingest.example.com/api/sync/worker"},
		"no worker":        {Token: token},
		"not a URL":        {Token: token, WorkerURL: "https://x.example/", URL: "qstash"},
		"a password in it": {Token: token, WorkerURL: "https://u:p@ingest.example.com/"},
	} {
		_, err := upstash.New(cfg)
		require.Error(t, err, name)
	}
}
