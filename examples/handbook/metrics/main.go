// Command metrics counts every decision of every gate for Prometheus.
package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/cors"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
)

// counter is an OnEvent. Gate, code and policy come from the program and its
// configuration: a few dozen series. Tenant and Actor come from clients; as labels they
// would let anybody fill the memory of the server and of Prometheus.
func counter(registry prometheus.Registerer) (func(context.Context, sallyport.Event), error) {
	decisions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sallyport_decisions_total",
		Help: "Decisions of the gates, allow and refuse.",
	}, []string{"gate", "code", "policy"})
	return func(_ context.Context, e sallyport.Event) {
		decisions.WithLabelValues(e.Gate, e.Code, e.Policy).Inc()
	}, registry.Register(decisions)
}

func newHandlers() (public, metrics http.Handler, err error) {
	registry := prometheus.NewRegistry()
	count, err0 := counter(registry)
	origin, err1 := cors.New(cors.Config{
		Origins: []string{"https://app.example.com"}, OwnOrigins: []string{"none"}, OnEvent: count,
	})
	address, err2 := clientaddr.New(clientaddr.Config{OnEvent: count})
	perAddress := ratelimit.PerAddress("address", ratelimit.PerMinute(60))
	limit, err3 := ratelimit.New(ratelimit.Config{
		Policies: []func(*http.Request) ratelimit.Policy{perAddress}, OnEvent: count,
	})
	if err := errors.Join(err0, err1, err2, err3); err != nil {
		return nil, nil, err
	}
	hello := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	return origin.Wrap(address.Wrap(limit.Wrap(hello))),
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), nil
}

func main() {
	public, metrics, err := newHandlers()
	if err != nil {
		log.Fatal(err)
	}
	// A listener of its own: the numbers are nobody else's business.
	go func() {
		log.Fatal((&http.Server{Addr: "127.0.0.1:9090", Handler: metrics, ReadHeaderTimeout: 5 * time.Second}).
			ListenAndServe())
	}()
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: public, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
