package telemetry

import (
	"context"
	"maps"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit/watch"
	"github.com/opsmantik/sallyport/hmacsig"
)

// Metrics is what the server counts.
type Metrics struct {
	registry  *prometheus.Registry
	decisions *prometheus.CounterVec
	full      *prometheus.CounterVec
	sites     atomic.Pointer[map[string]bool]
	// Looking a series up by its labels costs more than some of the gates do. The
	// map is replaced when there is a new series; it is as bounded as they are.
	series atomic.Pointer[map[labels]prometheus.Counter]
	mu     sync.Mutex
}

// labels of a decision. All of them come from the program and its settings, none
// from a request, so the number of series is bounded.
type labels struct {
	gate, code, policy string
	allowed            bool
}

// NewMetrics returns metrics that nothing was counted in yet.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sallyport_decisions_total",
			Help: "Decisions by gate, code, policy and outcome.",
		}, []string{"gate", "code", "policy", "outcome"}),
	}
	m.full = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sallyport_replay_share_full_total",
		Help: "Call events refused because their site has too many that are remembered.",
	}, []string{"site"})
	m.registry.MustRegister(m.decisions, m.full,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.series.Store(&map[labels]prometheus.Counter{})
	m.Sites(nil)
	return m
}

// Sites names the sites that may become labels.
func (m *Metrics) Sites(sites []string) {
	known := make(map[string]bool, len(sites))
	for _, site := range sites {
		known[site] = true
	}
	m.sites.Store(&known)
}

// Count counts one decision of a gate.
func (m *Metrics) Count(_ context.Context, e sallyport.Event) {
	if e.Code == hmacsig.CodeReplayShareFull && (*m.sites.Load())[e.Tenant] {
		m.full.WithLabelValues(e.Tenant).Inc()
	}
	key := labels{e.Gate, e.Code, e.Policy, e.Allowed}
	if known := (*m.series.Load())[key]; known != nil {
		known.Inc()
		return
	}
	m.add(key).Inc()
}

// add makes the series of labels, or finds the one that another call has made.
func (m *Metrics) add(key labels) prometheus.Counter {
	m.mu.Lock()
	defer m.mu.Unlock()
	outcome := "refused"
	if key.allowed {
		outcome = "allowed"
	}
	counter := m.decisions.WithLabelValues(key.gate, key.code, key.policy, outcome)
	all := maps.Clone(*m.series.Load())
	all[key] = counter
	m.series.Store(&all)
	return counter
}

// Queue is what is exported of the queue.
type Queue interface {
	Waiting() int64
	Dead(context.Context) (int64, error)
	Oldest(context.Context) (time.Duration, error)
}

// WatchQueue exports how much waits, and how much is given up.
func (m *Metrics) WatchQueue(queue Queue) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sallyport_queue_rows",
			Help: "Accepted events that are not delivered yet, dead letters included.",
		}, func() float64 { return float64(queue.Waiting()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sallyport_queue_dead",
			Help: "Dead letters: accepted events that the worker refuses.",
		}, func() float64 {
			dead, err := queue.Dead(context.Background())
			if err != nil {
				return math.NaN()
			}
			return float64(dead)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sallyport_queue_lag_seconds",
			Help: "Age of the oldest event that is due for delivery.",
		}, func() float64 { return seconds(queue.Oldest(context.Background())) }),
	)
}

// WatchTower exports how the watcher itself is. Its alerts are counted as decisions of
// the gate "watch".
func (m *Metrics) WatchTower(health func() watch.Health) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sallyport_watch_beat_timestamp_seconds",
			Help: "When the watcher last looked: it is out if that is more than a minute ago.",
		}, func() float64 { return float64(health().Beat.Unix()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "sallyport_watch_dropped_total",
			Help: "Events and alerts that the watcher could not note.",
		}, func() float64 { return float64(health().Dropped) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sallyport_watch_alerts",
			Help: "Open alerts.",
		}, func() float64 { return float64(health().Open) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sallyport_watch_pages",
			Help: "Open alerts that somebody has to look at now.",
		}, func() float64 { return float64(health().Pages) }),
	)
}

// WatchTransactions exports how long the oldest open transaction of the database is.
func (m *Metrics) WatchTransactions(database interface {
	OpenTransaction() (time.Duration, bool)
},
) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sallyport_database_oldest_transaction_seconds",
		Help: "Age of the oldest open transaction, whoever's it is. Above 60 it holds back VACUUM.",
	}, func() float64 {
		oldest, _ := database.OpenTransaction()
		return oldest.Seconds()
	}))
}

// seconds is NaN for what could not be read.
func seconds(d time.Duration, err error) float64 {
	if err != nil {
		return math.NaN()
	}
	return d.Seconds()
}

// Everywhere serves the metrics to whoever asks: for a listener of their own.
func (m *Metrics) Everywhere() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}

// Local serves the metrics to this machine alone: to a loopback peer
// that asks for a loopback host (a page cannot, even with a name of its own that
// resolves here), and not to what a proxy passes on. A proxy on this machine that
// adds no header looks like this machine itself; do not route it here.
func (m *Metrics) Local(notFound http.HandlerFunc) http.Handler {
	serve := m.Everywhere()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		local := err == nil && peer.Addr().Unmap().IsLoopback() && loopbackHost(r.Host)
		if !local || forwarded(r.Header) {
			notFound(w, r)
			return
		}
		serve.ServeHTTP(w, r)
	})
}

func loopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func forwarded(h http.Header) bool {
	for _, name := range [...]string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via"} {
		if len(h[name]) > 0 {
			return true
		}
	}
	return false
}
