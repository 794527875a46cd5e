// Package stdlib_test mounts the gates on the routes of a http.ServeMux.
package stdlib_test

import (
	"net/http"
	"testing"

	"github.com/opsmantik/sallyport/examples/routers/suite"
	"github.com/opsmantik/sallyport/tools/gatetest/adaptertest"
)

func mount(gate func(http.Handler) http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /adapter/{site}", gate(http.HandlerFunc(suite.Handler)))
	return mux
}

func TestAdapter(t *testing.T) { adaptertest.Run(t, mount) }

func TestEveryGate(t *testing.T) { suite.Run(t, mount) }
