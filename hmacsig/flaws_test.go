package hmacsig_test

import (
	"bytes"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig"
)

// Every test in this file is a flaw that was measured in a library of the
// trade.

func TestFlawEmptySecretAccepted(t *testing.T) {
	t.Parallel()
	_, err := hmacsig.NewSecret(hmacsig.SecretConfig{AllowShort: true})
	require.ErrorContains(t, err, "empty")
	_, err = hmacsig.NewWebhookSecret("whsec_")
	require.Error(t, err)
	_, err = hmacsig.NewRotation(hmacsig.Secret{}, hmacsig.Secret{})
	require.ErrorContains(t, err, "no secret")
	_, err = hmacsig.NewSigner(hmacsig.SignerConfig{Scheme: hmacsig.GitHub()})
	require.ErrorContains(t, err, "Secret")
	// The zero Keyring has no key; it does not mean "no check".
	v, err := hmacsig.New(hmacsig.Config{
		Scheme: hmacsig.GitHub(), Keys: hmacsig.StaticKeys{"": {}},
	})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	// HMAC-SHA256 of nothing under the empty key.
	r.Header.Set("X-Hub-Signature-256",
		"sha256=b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
	_, err = v.Check(r)
	require.Equal(t, hmacsig.CodeSignatureInvalid, reasonOf(t, err))
}

func TestFlawTimestampAYearAheadAccepted(t *testing.T) {
	t.Parallel()
	for _, scheme := range timed() {
		s := hmacsig.Generate()
		v := verifier(t, scheme, s)
		for _, ahead := range []time.Duration{scheme.MaxAhead + 2*time.Second, 365 * 24 * time.Hour} {
			_, err := v.Check(signAt(t, scheme, s, time.Now().Add(ahead), "{}"))
			require.Equal(t, hmacsig.CodeSignatureNotYetValid, reasonOf(t, err), "%s %s", scheme.Name, ahead)
		}
	}
}

func TestFlawNonceBurntBeforeTheMACIsChecked(t *testing.T) {
	t.Parallel()
	for _, scheme := range []hmacsig.Scheme{hmacsig.RFC9421(), hmacsig.StandardWebhooks()} {
		s := hmacsig.Generate()
		v := verifier(t, scheme, s)
		genuine := signAt(t, scheme, s, time.Now(), "{}")
		forged := genuine.Clone(t.Context())
		for _, name := range []string{"Signature", "Webhook-Signature"} {
			if text := forged.Header.Get(name); text != "" {
				at := strings.IndexAny(text, ":,") + 1
				forged.Header.Set(name, text[:at]+strings.Repeat("A", 43)+"="+text[at+44:])
			}
		}
		_, err := v.Check(forged)
		require.Equal(t, hmacsig.CodeSignatureInvalid, reasonOf(t, err), scheme.Name)
		genuine.Body, _ = genuine.GetBody()
		_, err = v.Check(genuine)
		require.NoError(t, err, scheme.Name)
	}
}

func TestFlawPanicOnCreatedThatIsNoNumber(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	v := verifier(t, hmacsig.RFC9421(), s)
	for _, created := range []string{"x", `"x"`, "", "1.5", "-1", "?1", strings.Repeat("9", 400)} {
		r := signAt(t, hmacsig.RFC9421(), s, time.Now(), "{}")
		input := r.Header.Get("Signature-Input")
		before, after, _ := strings.Cut(input, "created=")
		_, after, _ = strings.Cut(after, ";")
		r.Header.Set("Signature-Input", before+"created="+created+";"+after)
		_, err := v.Check(r)
		require.Equal(t, hmacsig.CodeSignatureMalformed, reasonOf(t, err), created)
	}
}

func TestFlawBodyReadBeforeAForgeryIsRefused(t *testing.T) {
	t.Parallel()
	v := verifier(t, hmacsig.RFC9421(), hmacsig.Generate())
	r := signAt(t, hmacsig.RFC9421(), hmacsig.Generate(), time.Now(), strings.Repeat("x", 1<<20))
	body := &counting{Reader: r.Body}
	r.Body = body
	_, err := v.Check(r)
	require.Equal(t, hmacsig.CodeSignatureInvalid, reasonOf(t, err))
	require.Zero(t, body.n)
}

type counting struct {
	io.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

func (c *counting) Close() error { return nil }

func TestFlawSignedTimestampAccepted(t *testing.T) {
	t.Parallel()
	for _, scheme := range timed() {
		s := hmacsig.Generate()
		v := verifier(t, scheme, s)
		now := strconv.FormatInt(time.Now().Unix(), 10)
		for _, other := range []string{
			"+" + now, "+000" + now, " " + now, now + " ", "0x" + now, now + ".0",
		} {
			r := signAt(t, scheme, s, time.Now(), "{}")
			for name, values := range r.Header {
				r.Header[name] = []string{strings.Replace(values[0], now, other, 1)}
			}
			_, err := v.Check(r)
			require.Equal(t, hmacsig.CodeSignatureMalformed, reasonOf(t, err), "%s %q", scheme.Name, other)
		}
	}
}

// The signed text "id.100.200.body" must not be readable in two ways.
func TestFlawExpiredMessageReframed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		travel(t, 1795299383)
		scheme, s := hmacsig.StandardWebhooks(), hmacsig.Generate()
		v := verifier(t, scheme, s)
		old := signAt(t, scheme, s, time.Now().Add(-time.Hour), "1795299383.{}")
		_, err := v.Check(old)
		require.Equal(t, hmacsig.CodeSignatureExpired, reasonOf(t, err))

		moved := old.Clone(t.Context())
		moved.Header.Set("Webhook-Id",
			old.Header.Get("Webhook-Id")+"."+old.Header.Get("Webhook-Timestamp"))
		moved.Header.Set("Webhook-Timestamp", "1795299383")
		moved.Body = io.NopCloser(strings.NewReader("{}"))
		_, err = v.Check(moved)
		require.Equal(t, hmacsig.CodeSignatureMalformed, reasonOf(t, err))

		// The same with schemes whose timestamp comes first.
		for _, scheme := range []hmacsig.Scheme{hmacsig.OpsMantik(), hmacsig.Stripe()} {
			v := verifier(t, scheme, s)
			r := signAt(t, scheme, s, time.Now().Add(-time.Hour), "1795299383.{}")
			was := strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10)
			for name, values := range r.Header {
				r.Header[name] = []string{strings.Replace(values[0], was, was+".1795299383", 1)}
			}
			r.Body = io.NopCloser(strings.NewReader("{}"))
			_, err := v.Check(r)
			require.Equal(t, hmacsig.CodeSignatureMalformed, reasonOf(t, err), scheme.Name)
		}
	})
}

func TestFlawFourSpellingsOfTheLastCharacter(t *testing.T) {
	t.Parallel()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for _, scheme := range []hmacsig.Scheme{hmacsig.RFC9421(), hmacsig.StandardWebhooks()} {
		s := hmacsig.Generate()
		v := verifier(t, scheme, s)
		r := signAt(t, scheme, s, time.Now(), "{}")
		name := "Signature"
		if r.Header.Get(name) == "" {
			name = "Webhook-Signature"
		}
		text := r.Header.Get(name)
		at := strings.IndexAny(text, ":,") + 1 + 42 // the 43rd character
		accepted := 0
		for _, c := range alphabet {
			again := r.Clone(t.Context())
			again.Body, _ = r.GetBody()
			again.Header.Set(name, text[:at]+string(c)+text[at+1:])
			if proof, err := v.Check(again); err == nil {
				accepted++
				require.NoError(t, v.Release(t.Context(), proof))
			}
		}
		require.Equal(t, 1, accepted, scheme.Name)
		// encoding/base64 skips line breaks.
		again := r.Clone(t.Context())
		again.Header.Set(name, text[:at]+"\n"+text[at:])
		_, err := v.Check(again)
		require.Equal(t, hmacsig.CodeSignatureMalformed, reasonOf(t, err))
	}
}

func TestFlawKeyEqualsKeyWithTrailingNULs(t *testing.T) {
	t.Parallel()
	text := "uJ9xK3vQ7sTn2WcY5bRd8fGh4jLm6pZa"
	require.Equal(t, hmacsig.ExportMAC([]byte(text), nil),
		hmacsig.ExportMAC([]byte(text+"\x00\x00"), nil))
	_, err := hmacsig.NewSecret(hmacsig.SecretConfig{Value: text + "\x00\x00"})
	require.ErrorContains(t, err, "NUL")
}

func TestFlawFirstOfTwoHeadersTaken(t *testing.T) {
	t.Parallel()
	for _, scheme := range all() {
		s := hmacsig.Generate()
		v := verifier(t, scheme, s)
		signed := signAt(t, scheme, s, time.Now(), "{}")
		for name := range signed.Header {
			for _, extra := range []string{signed.Header.Get(name), "x"} {
				r := signed.Clone(t.Context())
				r.Header[name] = append(r.Header[name], extra)
				_, err := v.Check(r)
				require.Equal(t, hmacsig.CodeSignatureMalformed, reasonOf(t, err), "%s %s", scheme.Name, name)
			}
		}
	}
}

// Two signatures on one message: a thief who leaves one out has no second
// message.
func TestFlawTwoSignaturesTwoMessages(t *testing.T) {
	t.Parallel()
	a, b := hmacsig.Generate(), hmacsig.Generate()
	scheme := hmacsig.Stripe()
	v, err := hmacsig.New(hmacsig.Config{
		Scheme: scheme, Keys: hmacsig.StaticKeys{"": rotation(t, a, b)},
	})
	require.NoError(t, err)
	at := time.Now()
	one := signAt(t, scheme, a, at, "{}").Header.Get("Stripe-Signature")
	two := signAt(t, scheme, b, at, "{}").Header.Get("Stripe-Signature")
	_, second, _ := strings.Cut(two, ",")
	for i, header := range []string{two, one, one + "," + second} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
		r.Header.Set("Stripe-Signature", header)
		proof, err := v.Check(r)
		if i == 0 {
			require.NoError(t, err)
			require.Equal(t, "next", proof.Key)
			require.NoError(t, v.Confirm(t.Context(), proof))
			continue
		}
		require.Equal(t, hmacsig.CodeReplayed, reasonOf(t, err), header)
	}
}

// time.Sub saturates: extreme timestamps must not wrap into the window.
func TestFlawExtremeTimestamps(t *testing.T) {
	t.Parallel()
	for _, unix := range []int64{
		math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64 - 1, math.MaxInt64,
	} {
		scheme := hmacsig.GitHub()
		scheme.Untimed = false
		scheme.MaxAhead = time.Hour
		read := scheme.Read
		scheme.Read = func(r *http.Request, m *hmacsig.Message) error {
			m.Timestamp = unix
			return read(r, m)
		}
		s := hmacsig.Generate()
		_, err := verifier(t, scheme, s).Check(signAt(t, scheme, s, time.Now(), "{}"))
		require.Contains(t,
			[]string{hmacsig.CodeSignatureExpired, hmacsig.CodeSignatureNotYetValid}, reasonOf(t, err))
	}
}

// The replay entry covers the window whole: a message from the future stays
// known until it has expired.
func TestFlawReplayLifeOfHalfTheWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		scheme, s := hmacsig.OpsMantik(), hmacsig.Generate()
		v := verifier(t, scheme, s)
		r := signAt(t, scheme, s, time.Now().Add(60*time.Second), "{}")
		proof, err := v.Check(r)
		require.NoError(t, err)
		require.NoError(t, v.Confirm(t.Context(), proof))
		for left := 360; left >= 0; left -= 10 {
			r.Body, _ = r.GetBody()
			_, err := v.Check(r)
			require.Equal(t, hmacsig.CodeReplayed, reasonOf(t, err), "%d s left", left)
			time.Sleep(10 * time.Second)
		}
		r.Body, _ = r.GetBody()
		_, err = v.Check(r)
		require.Equal(t, hmacsig.CodeSignatureExpired, reasonOf(t, err))
	})
}

// Two tenants may send the same nonce.
func TestFlawNoncesScopedAcrossTenants(t *testing.T) {
	t.Parallel()
	scheme, s := hmacsig.RFC9421(), hmacsig.Generate()
	ring := rotation(t, s, hmacsig.Secret{})
	v, err := hmacsig.New(hmacsig.Config{
		Scheme: fixedNonce(scheme), Keys: hmacsig.StaticKeys{"a": ring, "b": ring},
	})
	require.NoError(t, err)
	for _, row := range []struct {
		keyID string
		want  string
	}{{"a", ""}, {"b", ""}, {"a", hmacsig.CodeInFlight}} {
		signer, err := hmacsig.NewSigner(hmacsig.SignerConfig{
			Scheme: fixedNonce(scheme), KeyID: row.keyID, Secret: s,
		})
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
		require.NoError(t, signer.Sign(r))
		_, err = v.Check(r)
		require.Equal(t, row.want, reasonOf(t, err), row.keyID)
	}
}

func fixedNonce(scheme hmacsig.Scheme) hmacsig.Scheme {
	base := scheme.Base
	scheme.Base = func(dst []byte, r *http.Request, m *hmacsig.Message) []byte {
		m.Nonce = "0123456789abcdef"
		return base(dst, r, m)
	}
	return scheme
}

func TestFlawContentLengthTrustedForAllocation(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	v, err := hmacsig.New(hmacsig.Config{
		Scheme: hmacsig.GitHub(), MaxBodyBytes: 1 << 40,
		Keys: hmacsig.StaticKeys{"": rotation(t, s, hmacsig.Secret{})},
	})
	require.NoError(t, err)
	r := signAt(t, hmacsig.GitHub(), s, time.Now(), "{}")
	r.ContentLength = 1 << 39
	_, err = v.Check(r)
	require.Equal(t, hmacsig.CodeBodyConsumed, reasonOf(t, err), "half a terabyte was announced, two bytes came")
}

func TestFlawBodyTruncatedSilently(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	for _, announced := range []bool{true, false} {
		v, err := hmacsig.New(hmacsig.Config{
			Scheme: hmacsig.GitHub(), MaxBodyBytes: 100,
			Keys: hmacsig.StaticKeys{"": rotation(t, s, hmacsig.Secret{})},
		})
		require.NoError(t, err)
		for size, want := range map[int]string{100: "", 101: hmacsig.CodeBodyTooLarge} {
			// The signature is over the first 100 bytes.
			r := signAt(t, hmacsig.GitHub(), s, time.Now(), strings.Repeat("x", 100))
			r.Body = io.NopCloser(bytes.NewReader(bytes.Repeat([]byte("x"), size)))
			r.ContentLength = int64(size)
			if !announced {
				r.ContentLength = -1
			}
			_, err = v.Check(r)
			require.Equal(t, want, reasonOf(t, err))
		}
	}
}
