package ephemeral_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/ephemeral"
)

// unsettled is a store that loses what it was told.
type unsettled struct{ hmacsig.ReplayStore }

func (unsettled) Claim(context.Context, hmacsig.ReplayEntry) (hmacsig.ClaimState, error) {
	return hmacsig.Claimed, nil
}
func (unsettled) Confirm(context.Context, hmacsig.ReplayEntry) error { return errors.New("away") }
func (unsettled) Release(context.Context, hmacsig.ReplayEntry) error { return errors.New("away") }

// The hooks, the problem base and the settlement reach hmacsig.
func TestHooksAreHandedOn(t *testing.T) {
	t.Parallel()
	var events []sallyport.Event
	hook := func(_ context.Context, e sallyport.Event) { events = append(events, e) }
	const base = "https://p.test/#"
	signer, urlGate := urls(t, ephemeral.URLConfig{
		Scope: "a", Keys: ring(t), SingleUse: true, Replay: unsettled{}, OnEvent: hook, ProblemBase: base,
	})
	signed, err := signer.Sign(http.MethodGet, "/x")
	require.NoError(t, err)
	issuer, sessionGate := sessions(t, func(c *ephemeral.SessionConfig) {
		c.Replay, c.OnEvent, c.ProblemBase = unsettled{}, hook, base
	})
	token, err := issuer.Issue(call())
	require.NoError(t, err)
	bearer := httptest.NewRequest(http.MethodPost, "/", nil)
	bearer.Header.Set("Authorization", "Bearer "+token)
	for _, row := range []struct {
		policy, tenant string
		gate           *hmacsig.Verifier
		good           *http.Request
		status         int
	}{
		{"signed-url", "", urlGate, httptest.NewRequest(http.MethodGet, signed, nil), http.StatusForbidden},
		{"session-jwt", "site-1", sessionGate, bearer, http.StatusUnauthorized},
	} {
		events = nil
		h := row.gate.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		h.ServeHTTP(httptest.NewRecorder(), row.good)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		require.Equal(t, row.status, w.Code)
		require.Contains(t, w.Body.String(), `"type":"https://p.test/#signature_missing"`)
		require.Len(t, events, 3)
		for i, code := range []string{
			hmacsig.CodeSignatureVerified, hmacsig.CodeClaimNotSettled, hmacsig.CodeSignatureMissing,
		} {
			require.Equal(t, code, events[i].Code)
			require.Equal(t, row.policy, events[i].Policy)
		}
		require.Equal(t, row.tenant, events[0].Tenant)
	}
}
