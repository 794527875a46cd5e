// Package gateway_test mounts the gates in front of a grpc-gateway mux.
package gateway_test

import (
	"net/http"
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/opsmantik/sallyport/examples/routers/suite"
	"github.com/opsmantik/sallyport/tools/gatetest/adaptertest"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// mux has a handler as generated code registers it: it calls the service and
// renders its error by runtime.HTTPError.
func mux(t *testing.T, wrap func(http.Handler) http.Handler) *runtime.ServeMux {
	t.Helper()
	m := runtime.NewServeMux()
	inner := wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := adaptertest.Handle(r)
		if answer.Failed {
			_, out := runtime.MarshalerForRequest(m, r)
			runtime.HTTPError(r.Context(), m, out, w, r, status.Error(codes.Unavailable, "failed"))
			return
		}
		w.WriteHeader(answer.Status)
		_, _ = w.Write([]byte(answer.Body))
	}))
	require.NoError(t, m.HandlePath(http.MethodPost, "/adapter/{site}",
		func(w http.ResponseWriter, r *http.Request, params map[string]string) {
			for name, value := range params {
				r.SetPathValue(name, value)
			}
			inner.ServeHTTP(w, r)
		}))
	return m
}

// TestInFront: the gate wraps the whole mux. Only the path values are missing: name
// the tenant by a header or a query parameter, or wrap handlers one by one.
func TestInFront(t *testing.T) {
	mount := func(gate func(http.Handler) http.Handler) http.Handler {
		return gate(mux(t, func(h http.Handler) http.Handler { return h }))
	}
	problems := adaptertest.Check(mount)
	require.Len(t, problems, 2)
	for _, p := range problems {
		require.Contains(t, p, "path value")
	}
}

// TestOnHandlePath: a handler of one's own has the path values.
func TestOnHandlePath(t *testing.T) {
	mount := func(gate func(http.Handler) http.Handler) http.Handler { return mux(t, gate) }
	adaptertest.Run(t, mount)
	suite.Run(t, mount)
}
