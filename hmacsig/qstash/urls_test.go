package qstash_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/qstash"
)

// One verifier for several workers: a delivery for one is none for another.
func TestSeveralURLs(t *testing.T) {
	t.Parallel()
	const calls, mail = "https://a.test/jobs/calls?v=1", "https://b.test/jobs/mail"
	key := hmacsig.Generate()
	make := func(urls ...string) *hmacsig.Verifier {
		v, err := qstash.New(qstash.Config{URLs: urls, Current: key})
		require.NoError(t, err)
		return v
	}
	for _, row := range []struct {
		name, signedFor, target string
		urls                    []string
		want                    string
	}{
		{"its own", calls, "/jobs/calls?v=1", []string{calls, mail}, ""},
		{"the other", mail, "/jobs/mail", []string{calls, mail}, ""},
		{"for the other", mail, "/jobs/calls?v=1", []string{calls, mail}, hmacsig.CodeSignatureClaims},
		{"no query", calls, "/jobs/calls", []string{calls, mail}, hmacsig.CodeSignatureClaims},
		{"another query", calls, "/jobs/calls?v=2", []string{calls, mail}, hmacsig.CodeSignatureClaims},
		{"nowhere", calls, "/elsewhere", []string{calls, mail}, hmacsig.CodeSignatureClaims},
		{"not listed", "https://c.test/jobs/mail", "/jobs/mail", []string{calls, mail}, hmacsig.CodeSignatureClaims},
		{"one URL, rewritten path", calls, "/v1/calls", []string{calls}, ""},
		{"one URL, another", mail, "/v1/calls", []string{calls}, hmacsig.CodeSignatureClaims},
	} {
		signer, err := qstash.NewSigner(qstash.SignerConfig{URL: row.signedFor, Secret: key})
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodPost, row.target, strings.NewReader("{}"))
		require.NoError(t, signer.Sign(r))
		proof, err := make(row.urls...).Check(r)
		if row.want == "" {
			require.NoError(t, err, row.name)
			require.Equal(t, row.signedFor, proof.Subject)
			continue
		}
		var refused *sallyport.Refusal
		require.ErrorAs(t, err, &refused, row.name)
		require.Equal(t, row.want, refused.Code, row.name)
	}
	for _, urls := range [][]string{
		nil, {""}, {"/work"}, {calls, calls}, {"https://a.test/x", "https://b.test/x"}, {calls, "ftp://a.test/"},
	} {
		_, err := qstash.New(qstash.Config{URLs: urls, Current: key})
		require.ErrorContains(t, err, "hmacsig/qstash: URLs")
	}
}

// unsettled is a store that loses what it was told.
type unsettled struct{}

func (unsettled) Claim(context.Context, hmacsig.ReplayEntry) (hmacsig.ClaimState, error) {
	return hmacsig.Claimed, nil
}
func (unsettled) Confirm(context.Context, hmacsig.ReplayEntry) error { return errors.New("away") }
func (unsettled) Release(context.Context, hmacsig.ReplayEntry) error { return errors.New("away") }

// The hooks, the problem base and the settlement reach hmacsig.
func TestHooksAreHandedOn(t *testing.T) {
	t.Parallel()
	key := hmacsig.Generate()
	var events []sallyport.Event
	v, err := qstash.New(qstash.Config{
		URLs: []string{
			"https://a.test/",
		}, Current: key, Replay: unsettled{}, ProblemBase: "https://p.test/#",
		OnEvent: func(_ context.Context, e sallyport.Event) { events = append(events, e) },
	})
	require.NoError(t, err)
	signer, err := qstash.NewSigner(qstash.SignerConfig{URL: "https://a.test/", Secret: key})
	require.NoError(t, err)
	h := v.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
	require.NoError(t, signer.Sign(r))
	h.ServeHTTP(httptest.NewRecorder(), r)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	require.Equal(t, http.StatusForbidden, w.Code)
	require.Contains(t, w.Body.String(), `"type":"https://p.test/#signature_missing"`)
	require.Len(t, events, 3)
	for i, code := range []string{
		hmacsig.CodeSignatureVerified, hmacsig.CodeClaimNotSettled, hmacsig.CodeSignatureMissing,
	} {
		require.Equal(t, code, events[i].Code)
		require.Equal(t, "qstash", events[i].Policy)
		require.Equal(t, "hmacsig", events[i].Gate)
	}
}
