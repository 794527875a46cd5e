// Package chi_test mounts the gates on the routes of a chi router.
package chi_test

import (
	"net/http"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/opsmantik/sallyport/examples/routers/suite"
	"github.com/opsmantik/sallyport/tools/gatetest/adaptertest"
	"github.com/stretchr/testify/require"
)

// With runs the gate after chi has found the route, and so knows {site}.
func mount(gate func(http.Handler) http.Handler) http.Handler {
	r := chi.NewRouter()
	r.With(gate).Post("/adapter/{site}", suite.Handler)
	return r
}

// Group and Use inside it do the same, for several routes.
func mountGroup(gate func(http.Handler) http.Handler) http.Handler {
	r := chi.NewRouter()
	r.Group(func(r chi.Router) {
		r.Use(gate)
		r.Post("/adapter/{site}", suite.Handler)
	})
	return r
}

// Use on the router itself runs before the route is known: right for cors and
// rate limits by address, but a gate that reads the path finds nothing.
func mountUse(gate func(http.Handler) http.Handler) http.Handler {
	r := chi.NewRouter()
	r.Use(gate)
	r.Post("/adapter/{site}", suite.Handler)
	return r
}

func TestAdapter(t *testing.T) {
	adaptertest.Run(t, mount)
	adaptertest.Run(t, mountGroup)
}

func TestUseKnowsNoPathValues(t *testing.T) {
	problems := adaptertest.Check(mountUse)
	require.Len(t, problems, 2)
	for _, p := range problems {
		require.Contains(t, p, "path value")
	}
}

func TestEveryGate(t *testing.T) { suite.Run(t, mount) }
