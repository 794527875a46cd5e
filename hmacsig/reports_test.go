package hmacsig_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig"
)

// Every test in this file is a bug that somebody reported of another library or
// service, tried on this one.

// Adyen/adyen-node-api-library#1725, razorpay/razorpay-mcp-server#135,
// rogerSuperBuilderAlpha/cursor-boston#1423: a signature that decodes to another
// length throws, and the sender gets a 500.
func TestReportSignatureOfAnotherLength(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte{'x'}, 33)
	for _, row := range []struct {
		scheme hmacsig.Scheme
		header string
		values []string
	}{
		{hmacsig.GitHub(), "X-Hub-Signature-256", []string{"", "x", "sha256=", "sha256=0", "sha256=" + strings.Repeat("0", 62)}},
		{shopify(), "X-Shopify-Hmac-Sha256", []string{
			"x", base64.RawStdEncoding.EncodeToString(long), base64.StdEncoding.EncodeToString(long[:31]),
			strings.Repeat("=", 44), strings.Repeat("A", 43) + "\n", strings.Repeat("A", 44),
		}},
		{hmacsig.Stripe(), "Stripe-Signature", []string{"t=1,v1=", "t=,v1=0", "=", ",", "t=1795299383", "v1", "t=1795299383,v1=é"}},
		{hmacsig.StandardWebhooks(), "Webhook-Signature", []string{"v1,", "v1", " ", "v1,=,v1,=", "v2,AAAA"}},
	} {
		s := hmacsig.Generate()
		h := verifier(t, row.scheme, s).Wrap(status(http.StatusOK))
		for _, value := range row.values {
			r := signAt(t, row.scheme, s, time.Now(), "{}")
			r.Header[row.header] = []string{value}
			require.Equal(
				t,
				http.StatusUnauthorized,
				serve(h, r).Code,
				"%s %q",
				row.scheme.Name,
				value,
			)
		}
	}
}

// inngest/inngest-js#1267: without Content-Length the body counts as empty.
// activepieces/activepieces#14812, frain-dev/convoy#2392: bytes that are no UTF-8,
// and forms, are changed before they are verified.
func TestReportBodiesOfEveryKind(t *testing.T) {
	t.Parallel()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(`{"n":1}`))
	_ = z.Close()
	for name, content := range map[string]string{
		"binary": "\x00\xff\xfe\r\n\x80", "form": "a=b+c&d=%20", "byte order mark": "\xef\xbb\xbf{}",
		"compressed, signed as sent": zipped.String(), "large": strings.Repeat("\xff", 300_000),
		"CRLF at the end": "{}\r\n",
	} {
		s := hmacsig.Generate()
		server := httptest.NewServer(verifier(t, hmacsig.OpsMantik(), s).Wrap(http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })))
		for _, chunked := range []bool{false, true} {
			signer, err := hmacsig.NewSigner(
				hmacsig.SignerConfig{Scheme: hmacsig.OpsMantik(), KeyID: site, Secret: s},
			)
			require.NoError(t, err)
			body := content
			if chunked {
				body += "!" // another message
			}
			r, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(body))
			require.NoError(t, err)
			require.NoError(t, signer.Sign(r))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if chunked {
				r.ContentLength = -1
			}
			answer, err := http.DefaultClient.Do(r)
			require.NoError(t, err, name)
			got, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			_ = answer.Body.Close()
			require.Equal(t, http.StatusOK, answer.StatusCode, name)
			require.Equal(t, body, string(got), name)
		}
		server.Close()
	}
}

// httpwg/http-extensions#1180 and #2532, microsoft/CCF#2592,
// dhensby/node-http-message-signatures#163: signer and verifier disagree about
// which spelling of a path or a query was signed.
func TestReportTargetsAsOnTheWire(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	signer, err := hmacsig.NewSigner(
		hmacsig.SignerConfig{Scheme: hmacsig.RFC9421(), KeyID: site, Secret: s},
	)
	require.NoError(t, err)
	server := httptest.NewServer(verifier(t, hmacsig.RFC9421(), s).Wrap(status(http.StatusOK)))
	defer server.Close()
	client := &http.Client{Transport: hmacsig.NewTransport(nil, signer)}
	for _, target := range []string{
		"/a%2Fb", "/a%2fb", "/users/some%40email.com", "/users/some@email.com", "/%7Euser", "/~user",
		"/x?param=value&foo=bar&baz=bat%2Dman", "/x?", "/x", "/?a=b+c", "/?a=b%20c", "/?a;b", "/?é=%C3%A9",
		"/a//b", "/a/./b", "/x?a=%zz", "/*", "//double",
	} {
		answer, err := client.Get(server.URL + target)
		require.NoError(t, err, target)
		_ = answer.Body.Close()
		require.Equal(t, http.StatusOK, answer.StatusCode, target)
	}
}

// vlang/v#27113: a genuine signature that covers little is taken for one that
// covers the request.
func TestReportSignatureThatCoversLittle(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	v := verifier(t, hmacsig.RFC9421(), s)
	for _, covered := range []string{`()`, `("date")`, `("@method")`, `("content-digest")`} {
		r := signAt(t, hmacsig.RFC9421(), s, time.Now(), "{}")
		input := r.Header.Get("Signature-Input")
		from, to := strings.Index(input, "("), strings.Index(input, ")")
		params := covered + input[to+1:]
		base := `"@signature-params": ` + params
		r.Header.Set("Signature-Input", input[:from]+params)
		r.Header.Set("Signature", "sig1=:"+base64.StdEncoding.EncodeToString(
			hmacsig.ExportMAC([]byte(s.Reveal()), []byte(base)))+":")
		_, err := v.Check(r)
		require.Equal(t, hmacsig.CodeSignatureMalformed, reasonOf(t, err), covered)
	}
}

// 2witstudios/PageSpace#2199: a delivery id that is not signed is a way around
// the replay store.
func TestReportUnsignedDeliveryID(t *testing.T) {
	t.Parallel()
	for _, scheme := range []hmacsig.Scheme{hmacsig.GitHub(), hmacsig.Slack(), shopify()} {
		s := hmacsig.Generate()
		h := verifier(t, scheme, s).Wrap(status(http.StatusOK))
		for i, id := range []string{"one", "two", "three"} {
			r := signAt(t, scheme, s, time.Unix(time.Now().Unix()/100*100, 0), "{}")
			for _, name := range []string{"X-GitHub-Delivery", "X-Slack-Retry-Num", "X-Shopify-Webhook-Id", "Idempotency-Key"} {
				r.Header.Set(name, id)
			}
			want := http.StatusOK
			if i > 0 {
				want = http.StatusConflict
			}
			require.Equal(t, want, serve(h, r).Code, scheme.Name)
		}
	}
}

// Steward-Fi/steward#115: a 5xx is remembered, and the retry gets it again.
// schemalabz/opencouncil#420: retries come hours later with the first timestamp.
func TestReportLateRetryOfAFailure(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	v := custom(t, hmacsig.OpsMantik(), s, func(c *hmacsig.Config) { c.MaxAge = 24 * time.Hour })
	answer := http.StatusBadGateway
	h := v.Wrap(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(answer) }),
	)
	retry := func() int {
		return serve(
			h,
			signAt(
				t,
				hmacsig.OpsMantik(),
				s,
				time.Now().Add(-4*time.Hour).Truncate(time.Hour),
				"{}",
			),
		).Code
	}
	require.Equal(t, http.StatusBadGateway, retry())
	require.Equal(t, http.StatusBadGateway, retry())
	answer = http.StatusOK
	require.Equal(t, http.StatusOK, retry())
	require.Equal(t, http.StatusConflict, retry())
}

// corsairdev/corsair#348: answers tell apart what only operators should know.
func TestReportAnswersThatProbe(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	h := verifier(t, hmacsig.OpsMantik(), s).Wrap(status(http.StatusOK))
	wrongKey := serve(h, signAt(t, hmacsig.OpsMantik(), hmacsig.Generate(), time.Now(), "{}"))
	unknown := signAt(t, hmacsig.OpsMantik(), s, time.Now(), "{}")
	unknown.Header.Set("X-Ops-Site-Id", "nobody")
	wrongTime := serve(
		h,
		signAt(t, hmacsig.OpsMantik(), hmacsig.Generate(), time.Now().Add(-time.Hour), "{}"),
	)
	for _, w := range []*httptest.ResponseRecorder{serve(h, unknown), wrongTime} {
		require.Equal(t, wrongKey.Code, w.Code)
		require.Equal(t, wrongKey.Header(), w.Header())
		require.Equal(
			t,
			wrongKey.Body.String(),
			w.Body.String(),
			"only the right key learns about the time",
		)
	}
}
