package hmacsig_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig"
)

func TestRFC4231(t *testing.T) {
	t.Parallel()
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		require.NoError(t, err)
		return b
	}
	long := bytes.Repeat([]byte{0xaa}, 131)
	for _, row := range []struct {
		name      string
		key, data []byte
		mac       string
	}{
		{
			"case 1", bytes.Repeat([]byte{0x0b}, 20), []byte("Hi There"),
			"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
		},
		{
			"case 2", []byte("Jefe"), []byte("what do ya want for nothing?"),
			"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
		},
		{
			"case 3", bytes.Repeat([]byte{0xaa}, 20), bytes.Repeat([]byte{0xdd}, 50),
			"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
		},
		{
			"case 4", unhex("0102030405060708090a0b0c0d0e0f10111213141516171819"),
			bytes.Repeat([]byte{0xcd}, 50),
			"82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
		},
		{
			"case 6", long, []byte("Test Using Larger Than Block-Size Key - Hash Key First"),
			"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
		},
		{
			"case 7", long, []byte("This is a test using a larger than block-size key and a larger " +
				"than block-size data. The key needs to be hashed before being used by the HMAC algorithm."),
			"9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
		},
	} {
		require.Equal(t, row.mac, hex.EncodeToString(hmacsig.ExportMAC(row.key, row.data)), row.name)
	}
}

// b25 is the signature of RFC 9421 appendix B.2.5 as a user's own scheme.
func b25() hmacsig.Scheme {
	const params = `("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"`
	return hmacsig.Scheme{
		Name:        "b25",
		MaxAge:      time.Minute,
		IgnoresBody: true,
		KeyID:       func(id string) bool { return id == "test-shared-secret" },
		Read: func(r *http.Request, m *hmacsig.Message) error {
			input, err := hmacsig.SingleHeader(r.Header, "Signature-Input")
			if err != nil {
				return err
			}
			sig, err := hmacsig.SingleHeader(r.Header, "Signature")
			if err != nil {
				return err
			}
			sig = strings.TrimSuffix(strings.TrimPrefix(sig, "sig-b25=:"), ":")
			if input != "sig-b25="+params || !m.AddBase64(sig) {
				return hmacsig.Fault(hmacsig.CodeSignatureMalformed)
			}
			m.KeyID, m.Timestamp = "test-shared-secret", 1618884473
			return nil
		},
		Base: func(dst []byte, r *http.Request, _ *hmacsig.Message) []byte {
			return append(dst, `"date": `+r.Header.Get("Date")+"\n"+`"@authority": `+r.Host+"\n"+
				`"content-type": `+r.Header.Get("Content-Type")+"\n"+`"@signature-params": `+params...)
		},
	}
}

// The examples of the specifications, each verified at its own time.
func TestPublishedVectors(t *testing.T) {
	t.Parallel()
	raw := func(s string) hmacsig.Secret {
		return secret(t, s)
	}
	svix, err := hmacsig.NewWebhookSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	require.NoError(t, err)
	shared, err := base64.StdEncoding.DecodeString(
		"uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==")
	require.NoError(t, err)
	slack := "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&" +
		"channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&" +
		"command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2F" +
		"T1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&" +
		"trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
	for _, row := range []struct {
		name    string
		scheme  hmacsig.Scheme
		secret  hmacsig.Secret
		at      int64
		body    string
		headers []string
	}{
		{
			"Standard Webhooks", hmacsig.StandardWebhooks(), svix, 1614265330, `{"test": 2432232314}`,
			[]string{
				"Webhook-Id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "Webhook-Timestamp", "1614265330",
				"Webhook-Signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
			},
		},
		{
			"Slack", hmacsig.Slack(), raw("8f742231b10e8888abcd99yyyzzz85a5"), 1531420618, slack,
			[]string{
				"X-Slack-Request-Timestamp", "1531420618", "X-Slack-Signature",
				"v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
			},
		},
		{
			"GitHub", hmacsig.GitHub(), raw("It's a Secret to Everybody"), 1700000000, "Hello, World!",
			[]string{
				"X-Hub-Signature-256",
				"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
			},
		},
		{
			"RFC 9421 B.2.5", b25(), raw(string(shared)), 1618884473, `{"hello": "world"}`,
			[]string{
				"Date", "Tue, 20 Apr 2021 02:07:55 GMT", "Content-Type", "application/json",
				"Signature-Input",
				`sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"`,
				"Signature", "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:",
			},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				travel(t, row.at)
				r := httptest.NewRequest(http.MethodPost, "/foo", strings.NewReader(row.body))
				for i := 0; i < len(row.headers); i += 2 {
					r.Header.Set(row.headers[i], row.headers[i+1])
				}
				ring := rotation(t, row.secret, hmacsig.Secret{})
				keyID := ""
				if row.scheme.KeyID != nil {
					keyID = "test-shared-secret"
				}
				v, err := hmacsig.New(hmacsig.Config{
					Scheme: row.scheme,
					Keys:   hmacsig.StaticKeys{keyID: ring},
				})
				require.NoError(t, err)
				_, err = v.Check(r)
				require.NoError(t, err)
			})
		})
	}
}

// Stripe's documentation shows a header and not its secret: the form is what
// can be taken from it. The v0 of test mode is passed over.
func TestStripeDocumentedHeader(t *testing.T) {
	t.Parallel()
	const header = "t=1492774577," +
		"v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd," +
		"v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("Stripe-Signature", header)
	var m hmacsig.Message
	require.NoError(t, hmacsig.Stripe().Read(r, &m))
	require.Equal(t, int64(1492774577), m.Timestamp)
	require.Len(t, hmacsig.ExportParts(&m), 1)
	require.Equal(t, "1492774577.", string(hmacsig.Stripe().Base(nil, r, &m)))
}

// RFC 9530 appendix D: the digest of {"hello": "world"} and a line feed. The
// base is written out, so that a change of the profile cannot go unseen.
func TestRFC9421Profile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		travel(t, 1795299383)
		s := secret(t, siteText)
		signer, err := hmacsig.NewSigner(hmacsig.SignerConfig{
			Scheme: hmacsig.RFC9421(), KeyID: "site-1", Secret: s,
		})
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodPost, "https://Example.com:443/a%2Fb/c?x=1&y",
			strings.NewReader("{\"hello\": \"world\"}\n"))
		require.NoError(t, signer.Sign(r))
		require.Equal(t, "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:",
			r.Header.Get("Content-Digest"))

		var m hmacsig.Message
		require.NoError(t, hmacsig.RFC9421().Read(r, &m))
		require.Equal(t, `"@method": POST
"@authority": example.com
"@path": /a%2Fb/c
"@query": ?x=1&y
"content-digest": sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:
"@signature-params": ("@method" "@authority" "@path" "@query" "content-digest")`+
			`;created=1795299383;nonce="`+m.Nonce+`";keyid="site-1";tag="sallyport"`,
			string(hmacsig.RFC9421().Base(nil, r, &m)))
	})
}
