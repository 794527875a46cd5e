package server

import (
	"net/http"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/opsmantik/sallyport/examples/ingest/reply"
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
	return func(gate, reason string, allowed bool) {
		outcome := "refused"
		if allowed {
			outcome = "allowed"
		}
		decisions.WithLabelValues(gate, reason, outcome).Inc()
	}
}

// metricsHandler serves the registry to this machine alone. A request that a
// proxy has forwarded is not from this machine, whatever its address says.
func metricsHandler(registry *prometheus.Registry) http.Handler {
	serve := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		forwarded := len(r.Header["X-Forwarded-For"]) > 0 || len(r.Header["Forwarded"]) > 0
		if err != nil || !peer.Addr().Unmap().IsLoopback() || forwarded {
			reply.Problem(w, http.StatusNotFound, "not_found", "There is nothing here")
			return
		}
		serve.ServeHTTP(w, r)
	})
}
