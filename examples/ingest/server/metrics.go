package server

import (
	"context"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
)

// counter counts one decision of a gate. Reasons are a closed set per gate, so
// the number of series is bounded.
type counter func(gate, reason string, allowed bool)

// newCounter registers the decisions of all gates as one metric.
func newCounter(registry *prometheus.Registry) counter {
	decisions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sallyport_decisions_total",
		Help: "Decisions by gate, reason and outcome.",
	}, []string{"gate", "reason", "outcome"})
	registry.MustRegister(decisions)
	// Looking a series up by its labels costs more than some of the gates do.
	type labels struct {
		gate, reason string
		allowed      bool
	}
	var series sync.Map // labels to prometheus.Counter; as bounded as they are
	return func(gate, reason string, allowed bool) {
		key := labels{gate, reason, allowed}
		if known, ok := series.Load(key); ok {
			known.(prometheus.Counter).Inc()
			return
		}
		outcome := "refused"
		if allowed {
			outcome = "allowed"
		}
		counter := decisions.WithLabelValues(gate, reason, outcome)
		series.Store(key, counter)
		counter.Inc()
	}
}

// watchQueue exports how much waits, and how much is given up.
func watchQueue(registry *prometheus.Registry, db *sqlite.DB) {
	registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sallyport_queue_rows",
			Help: "Accepted events that are not delivered yet, dead letters included.",
		}, func() float64 { return float64(db.Waiting()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sallyport_queue_dead",
			Help: "Dead letters: accepted events that the worker refuses.",
		}, func() float64 {
			dead, err := db.Dead(context.Background())
			if err != nil {
				return math.NaN()
			}
			return float64(dead)
		}),
	)
}

// metricsHandler serves the registry to this machine alone: to a loopback peer
// that asks for a loopback host (a page cannot, even with a name of its own that
// resolves here), and not to what a proxy passes on. A proxy on this machine that
// adds no header looks like this machine itself; do not route it here.
func metricsHandler(registry *prometheus.Registry) http.Handler {
	serve := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
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
