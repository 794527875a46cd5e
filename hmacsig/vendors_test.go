package hmacsig_test

import (
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
)

func vendors() []hmacsig.Scheme {
	const uri = "https://shop.example/hooks"
	return []hmacsig.Scheme{
		shopify(),
		square(uri),
		zoom(),
		paddle(),
		hubSpot(uri),
		box(),
		hmacsig.Svix(),
	}
}

// The vendors' schemes, held to what the shipped ones are held to.
func TestVendors(t *testing.T) {
	t.Parallel()
	for _, scheme := range vendors() {
		t.Run(scheme.Name, func(t *testing.T) {
			t.Parallel()
			s := hmacsig.Generate()
			v := verifier(t, scheme, s)
			signed := signAt(t, scheme, s, time.Now(), `{"id":1}`)
			fresh := func(body string) *http.Request {
				r := signed.Clone(t.Context())
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
				return r
			}
			for name, values := range signed.Header {
				for bit := range 8 * len(values[0]) {
					changed := flip(values[0], bit)
					if sameHex(changed, values[0]) {
						continue
					}
					r := fresh(`{"id":1}`)
					r.Header[name] = []string{changed}
					_, err := v.Check(r)
					require.Error(t, err, "%s bit %d", name, bit)
				}
			}
			for bit := range 8 * len(`{"id":1}`) {
				_, err := v.Check(fresh(flip(`{"id":1}`, bit)))
				require.Error(t, err)
			}
			_, err := v.Check(fresh(`{"id":1}0`))
			require.Error(t, err)
			proof, err := v.Check(fresh(`{"id":1}`))
			require.NoError(t, err)
			require.NoError(t, v.Confirm(t.Context(), proof))
			_, err = v.Check(fresh(`{"id":1}`))
			require.Equal(t, hmacsig.CodeReplayed, reasonOf(t, err))
			if scheme.Untimed {
				return
			}
			for _, off := range []time.Duration{-scheme.MaxAge - 2*time.Second, scheme.MaxAhead + 2*time.Second} {
				_, err := v.Check(signAt(t, scheme, s, time.Now().Add(off), "{}"))
				require.Error(t, err)
			}
		})
	}
}

// Bytes cannot move between the body and what is signed after it.
func TestTailHasOneSplit(t *testing.T) {
	t.Parallel()
	for _, scheme := range []hmacsig.Scheme{hubSpot("https://shop.example/hooks"), box()} {
		s := hmacsig.Generate()
		v := verifier(t, scheme, s)
		header := "X-HubSpot-Request-Timestamp"
		if scheme.Name == "box" {
			header = "Box-Delivery-Timestamp"
		}
		signed := signAt(t, scheme, s, time.Now(), `{"n":17}`)
		header = http.CanonicalHeaderKey(header)
		stamp := signed.Header.Get(header)
		for moved := 1; moved < len(stamp); moved++ {
			r := signed.Clone(t.Context())
			body := `{"n":17}` + stamp[:moved]
			r.Header.Set(header, stamp[moved:])
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
			_, err := v.Check(r)
			require.Equal(t, hmacsig.CodeSignatureMalformed, reasonOf(t, err))
		}
		r := signed.Clone(t.Context())
		r.Header.Set(header, "7}"+stamp)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(`{"n":1`)), 6
		_, err := v.Check(r)
		require.Equal(t, hmacsig.CodeSignatureMalformed, reasonOf(t, err))
	}
}

// The signatures of the example in Box's documentation, with the keys of its SDKs.
func TestBoxPublishedVector(t *testing.T) {
	t.Parallel()
	const body = `{"type":"webhook_event","webhook":{"id":"1234567890"},"trigger":"FILE.UPLOADED",` +
		`"source":{"id":"1234567890","type":"file","name":"Test.txt"}}`
	short := func(text string) hmacsig.Secret {
		s, err := hmacsig.NewSecret(hmacsig.SecretConfig{Value: text, AllowShort: true})
		require.NoError(t, err)
		return s
	}
	primary, secondary := short("SamplePrimaryKey"), short("SampleSecondaryKey")
	for _, keys := range []hmacsig.Keyring{
		rotation(t, primary, secondary), rotation(t, primary, hmacsig.Secret{}),
		rotation(t, secondary, hmacsig.Secret{}),
	} {
		synctest.Test(t, func(t *testing.T) {
			travel(t, time.Date(2020, 1, 1, 7, 0, 1, 0, time.UTC).Unix())
			v, err := hmacsig.New(hmacsig.Config{Scheme: box(), Keys: hmacsig.StaticKeys{"": keys}})
			require.NoError(t, err)
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
			for name, value := range map[string]string{
				"BOX-DELIVERY-TIMESTAMP":  "2020-01-01T00:00:00-07:00",
				"BOX-SIGNATURE-ALGORITHM": "HmacSHA256",
				"BOX-SIGNATURE-VERSION":   "1",
				"BOX-SIGNATURE-PRIMARY":   "6TfeAW3A1PASkgboxxA5yqHNKOwFyMWuEXny/FPD5hI=",
				"BOX-SIGNATURE-SECONDARY": "v+1CD1Jdo3muIcbpv5lxxgPglOqMfsNHPV899xWYydo=",
			} {
				r.Header.Set(name, value)
			}
			_, err = v.Check(r)
			require.NoError(t, err)
		})
	}
}

// A secret in the form of another vendor is an error that says so, and not a
// verifier that refuses every genuine webhook.
func TestSecretsOfAnotherForm(t *testing.T) {
	t.Parallel()
	const text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	decoded, err := hmacsig.NewWebhookSecret(text)
	require.NoError(t, err)
	plain, err := hmacsig.NewSecret(hmacsig.SecretConfig{Value: text})
	require.NoError(t, err)
	for _, row := range []struct {
		scheme hmacsig.Scheme
		secret hmacsig.Secret
		want   string
	}{
		{hmacsig.Stripe(), decoded, "NewSecret"},
		{hmacsig.Stripe(), plain, ""},
		{hmacsig.StandardWebhooks(), plain, "NewWebhookSecret"},
		{hmacsig.StandardWebhooks(), decoded, ""},
		{hmacsig.Svix(), plain, "NewWebhookSecret"},
		{hmacsig.Svix(), hmacsig.Generate(), ""},
		{hmacsig.GitHub(), plain, ""},
		{hmacsig.GitHub(), decoded, ""},
	} {
		ring := rotation(t, hmacsig.Generate(), row.secret)
		_, err := hmacsig.New(
			hmacsig.Config{Scheme: row.scheme, Keys: hmacsig.StaticKeys{"": ring}},
		)
		_, signErr := hmacsig.NewSigner(
			hmacsig.SignerConfig{Scheme: row.scheme, Secret: row.secret},
		)
		if row.want == "" {
			require.NoError(t, err, row.scheme.Name)
			require.NoError(t, signErr, row.scheme.Name)
			continue
		}
		require.Equal(t, []string{sallyport.ConfigConflict}, problemCodes(err), row.scheme.Name)
		require.ErrorContains(t, err, row.want)
		require.ErrorContains(t, signErr, row.want)
		require.NotContains(t, err.Error(), text[6:])
	}
}

// API keys are not signing secrets, and some of them are public.
func TestAPIKeysAreNoSecrets(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"sk_live_", "sk_test_", "rk_live_", "pk_live_", "sk_"} {
		_, err := hmacsig.NewSecret(
			hmacsig.SecretConfig{Value: prefix + "51Hq8ZKJd9aXcVbNmQwErTyUiOpAsDf"},
		)
		require.Equal(t, []string{sallyport.ConfigInsecure}, problemCodes(err))
		require.ErrorContains(t, err, "API key")
		require.NotContains(t, err.Error(), "51Hq8")
	}
}

// A scheme may name its headers in any case.
func TestHeaderNamesAreCanonicalised(t *testing.T) {
	t.Parallel()
	h := http.Header{}
	h.Set("acme-signature", "x")
	for _, name := range []string{"acme-signature", "ACME-Signature", "Acme-Signature"} {
		got, err := hmacsig.SingleHeader(h, name)
		require.NoError(t, err)
		require.Equal(t, "x", got)
		_, err = hmacsig.SingleHeader(http.Header{"Acme-Signature": {"x", "y"}}, name)
		require.ErrorIs(t, err, malformed, name)
		require.ErrorContains(t, err, name, "operators learn which")
	}
}

func TestParseUnix(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"123456789": 123456789, "001795299383": 1795299383, "999999999999": 999999999999,
		"12345678": -1, "1795299383000": -1, "": -1, "+179529938": -1, "-179529938": -1,
		"179529938 ": -1, " 179529938": -1, "0x12345678": -1, "1_795_299_": -1, "179529938.": -1,
		"１７９５２９９３８": -1,
	} {
		got, ok := hmacsig.ParseUnix(text)
		require.Equal(t, want >= 0, ok, text)
		if ok {
			require.Equal(t, want, got, text)
		}
	}
}

func TestSignaturesInEverySpelling(t *testing.T) {
	t.Parallel()
	raw := make([]byte, 32)
	for text, want := range map[string]bool{
		hex.EncodeToString(raw): true, strings.Repeat("0", 63): false, strings.Repeat("g", 64): false,
	} {
		var m hmacsig.Message
		require.Equal(t, want, m.AddHex(text), text)
	}
	var m hmacsig.Message
	require.True(t, m.AddBase64(base64.StdEncoding.EncodeToString(raw)))
	require.False(t, m.AddBase64(base64.RawStdEncoding.EncodeToString(raw)))
	require.True(t, m.AddBase64URL(base64.RawURLEncoding.EncodeToString(raw)))
	require.False(t, m.AddBase64URL(base64.URLEncoding.EncodeToString(raw)))
}
