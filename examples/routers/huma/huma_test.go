// Package huma_test mounts the gates in front of huma operations.
package huma_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/go-chi/chi/v5"
	"github.com/opsmantik/sallyport/examples/routers/suite"
	"github.com/opsmantik/sallyport/tools/gatetest/adaptertest"
)

type input struct {
	Site    string `path:"site"`
	RawBody []byte
}

type output struct {
	Status int
	Body   []byte
}

// operation is registered on whichever router carries the gate. Huma hands the
// handler the request's context and the body, not the request itself.
func operation(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "adapter", Method: http.MethodPost, Path: "/adapter/{site}",
		DefaultStatus: http.StatusCreated,
	}, func(ctx context.Context, in *input) (*output, error) {
		answer := adaptertest.Handle(suite.Request(ctx, in.RawBody))
		if answer.Failed {
			return nil, huma.NewError(answer.Status, "failed")
		}
		return &output{Status: answer.Status, Body: []byte(answer.Body)}, nil
	})
}

func onChi(gate func(http.Handler) http.Handler) http.Handler {
	r := chi.NewRouter()
	r.Group(func(r chi.Router) {
		r.Use(gate)
		operation(humachi.New(r, huma.DefaultConfig("adapter", "1")))
	})
	return r
}

// onStdlib: humago registers on a mux, so the gate wraps the route in front.
func onStdlib(gate func(http.Handler) http.Handler) http.Handler {
	inner := http.NewServeMux()
	operation(humago.New(inner, huma.DefaultConfig("adapter", "1")))
	mux := http.NewServeMux()
	mux.Handle("POST /adapter/{site}", gate(inner))
	return mux
}

func TestAdapter(t *testing.T) {
	adaptertest.Run(t, onChi)
	adaptertest.Run(t, onStdlib)
}

func TestEveryGate(t *testing.T) {
	suite.Run(t, onChi)
	suite.Run(t, onStdlib)
}
