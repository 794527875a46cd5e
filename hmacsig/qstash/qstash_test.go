package qstash_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/qstash"
)

type vector struct {
	Name, Token, Body, URL, Current, Next, Why string
	Now                                        int64
	Accept                                     bool
}

func vectors(t testing.TB) []vector {
	t.Helper()
	raw, err := os.ReadFile("testdata/qstash.json")
	require.NoError(t, err)
	var all []vector
	require.NoError(t, json.Unmarshal(raw, &all))
	require.Len(t, all, 42)
	return all
}

func key(t testing.TB, text string) hmacsig.Secret {
	t.Helper()
	if text == "" {
		return hmacsig.Secret{}
	}
	s, err := hmacsig.NewSecret(hmacsig.SecretConfig{Value: text, AllowShort: true})
	require.NoError(t, err)
	return s
}

func TestVectors(t *testing.T) {
	t.Parallel()
	for _, row := range vectors(t) {
		t.Run(row.Name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Unix(row.Now, 0)))
				v, err := qstash.New(qstash.Config{
					URLs: []string{row.URL}, Current: key(t, row.Current), Next: key(t, row.Next),
				})
				require.NoError(t, err)
				r := httptest.NewRequest(http.MethodPost, row.URL, strings.NewReader(row.Body))
				r.Header.Set(qstash.Header, row.Token)
				proof, err := v.Check(r)
				if !row.Accept {
					var rejection *sallyport.Refusal
					require.ErrorAs(t, err, &rejection, "why: %s", row.Why)
					require.Equal(t, http.StatusForbidden, rejection.Status)
					missing := rejection.Code == hmacsig.CodeSignatureMissing
					require.Equal(t, row.Token == "", missing, "got %s", rejection.Code)
					return
				}
				require.NoError(t, err)
				require.NotEmpty(t, proof.Nonce)
			})
		})
	}
}

func TestSignAndRedeliver(t *testing.T) {
	t.Parallel()
	const url = "https://ingest.example.test/api/sync/worker"
	current := hmacsig.Generate()
	v, err := qstash.New(qstash.Config{URLs: []string{url}, Current: current})
	require.NoError(t, err)
	signer, err := qstash.NewSigner(qstash.SignerConfig{URL: url, Secret: current})
	require.NoError(t, err)

	answers := []int{http.StatusServiceUnavailable, http.StatusOK}
	h := v.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(answers[0])
		answers = answers[1:]
	}))
	sent := httptest.NewRequest(http.MethodPost, url, strings.NewReader(`{"events":[]}`))
	require.NoError(t, signer.Sign(sent))
	deliver := func() int {
		r := sent.Clone(t.Context())
		r.Body, _ = sent.GetBody()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	require.Equal(t, http.StatusServiceUnavailable, deliver(), "the database is away")
	require.Equal(t, http.StatusOK, deliver(), "the same token again is processed")
	require.Equal(t, http.StatusConflict, deliver(), "and then it is a replay")
}

func TestZeroVerifierAnswers503(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	new(hmacsig.Verifier).Wrap(http.NotFoundHandler()).
		ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Contains(t, w.Body.String(), hmacsig.CodeNotConfigured)
}
