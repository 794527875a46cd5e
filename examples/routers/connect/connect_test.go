// Package connect_test mounts the gates in front of connect handlers.
package connect_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/opsmantik/sallyport/examples/routers/suite"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const procedure = "/probe.v1.Probe/Do"

// service answers "fail" with an error, as a generated handler would.
func service(gate suite.Gate) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(procedure, gate(connect.NewUnaryHandler(procedure,
		func(_ context.Context, r *connect.Request[wrapperspb.StringValue]) (
			*connect.Response[wrapperspb.StringValue], error,
		) {
			if r.Msg.Value == "fail" {
				return nil, connect.NewError(connect.CodeUnavailable, errors.New("failed"))
			}
			return connect.NewResponse(wrapperspb.String("done")), nil
		})))
	return mux
}

// twice is a client that signs every message, and sends each twice.
type twice struct {
	next   http.RoundTripper
	first  int
	second int
}

func (c *twice) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body.Close()
	send := func() (*http.Response, error) {
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(strings.NewReader(string(body)))
		again.ContentLength = int64(len(body))
		return c.next.RoundTrip(again)
	}
	first, err := send()
	if err != nil {
		return nil, err
	}
	_, _ = io.Copy(io.Discard, first.Body)
	first.Body.Close()
	second, err := send()
	if err != nil {
		return nil, err
	}
	c.first, c.second = first.StatusCode, second.StatusCode
	return second, nil
}

// TestSettlement: a failed call may be repeated, one that succeeded may not. Over gRPC
// a failure is status 200 with a trailer, and counts as a failure all the same. gRPC-Web
// puts that trailer into the body, where hmacsig does not look: a failed call there is
// taken for done, as its documentation says.
func TestSettlement(t *testing.T) {
	secret := hmacsig.Generate()
	ring, err := hmacsig.NewRotation(secret, hmacsig.Secret{})
	require.NoError(t, err)
	for name, options := range map[string][]connect.ClientOption{
		"connect": nil, "grpc": {connect.WithGRPC()}, "grpc-web": {connect.WithGRPCWeb()},
	} {
		t.Run(name, func(t *testing.T) {
			verifier, err := hmacsig.New(hmacsig.Config{
				Scheme: hmacsig.OpsMantik(), Keys: hmacsig.StaticKeys{"north": ring},
			})
			require.NoError(t, err)
			signer, err := hmacsig.NewSigner(hmacsig.SignerConfig{
				Scheme: hmacsig.OpsMantik(), KeyID: "north", Secret: secret,
			})
			require.NoError(t, err)
			server := httptest.NewUnstartedServer(service(verifier.Wrap))
			server.EnableHTTP2 = true
			server.StartTLS()
			defer server.Close()
			for message, replayed := range map[string]bool{"fail": name == "grpc-web", "good": true} {
				repeat := &twice{next: server.Client().Transport}
				transport := hmacsig.NewTransport(repeat, signer)
				client := connect.NewClient[wrapperspb.StringValue, wrapperspb.StringValue](
					&http.Client{Transport: transport}, server.URL+procedure, options...)
				_, err := client.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String(message)))
				if replayed {
					require.Equal(t, http.StatusConflict, repeat.second, "%s: %v", message, err)
				} else {
					require.NotEqual(t, http.StatusConflict, repeat.second, "%s: %v", message, err)
					require.Error(t, err)
				}
			}
		})
	}
}
