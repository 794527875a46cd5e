package main

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/hmacsigtest"
)

func TestWebhooks(t *testing.T) {
	t.Parallel()
	random := rand.Text() + rand.Text()
	s := secrets{
		stripe:  "whsec_" + random,
		github:  random,
		clerk:   "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		shopify: "shpss_" + random,
	}
	handler, err := newHandler(s)
	require.NoError(t, err)
	svix, err := hmacsig.NewWebhookSecret(s.clerk)
	require.NoError(t, err)
	text := func(value string) hmacsig.Secret {
		secret, err := asShown(value)
		require.NoError(t, err)
		return secret
	}
	rows := []struct {
		name   string
		scheme hmacsig.Scheme
		secret hmacsig.Secret
	}{
		{"stripe", hmacsig.Stripe(), text(s.stripe)},
		{"github", hmacsig.GitHub(), text(s.github)},
		{"clerk", hmacsig.Svix(), svix},
		{"shopify", shopify(), text(s.shopify)},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			path, body := "/webhooks/"+row.name, `{"type":"order.paid"}`
			forge := hmacsigtest.New(t, row.scheme, "", row.secret)
			rows := []struct {
				request *http.Request
				want    int
			}{
				{forge.Unsigned("POST", path, body), 401},
				{forge.WrongKey("POST", path, body), 401},
				{forge.Altered("POST", path, body), 401},
				{forge.Valid("POST", path, body), 204},
			}
			for _, r := range rows {
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r.request)
				require.Equal(t, r.want, w.Code)
			}
		})
	}
}

func TestEverySecretIsNeeded(t *testing.T) {
	t.Parallel()
	_, err := newHandler(secrets{})
	for _, name := range []string{"stripe", "github", "svix", "shopify"} {
		require.ErrorContains(t, err, "secret of "+name)
	}
}
