package qstash_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/qstash"
)

func TestConfigProblems(t *testing.T) {
	t.Parallel()
	_, err := qstash.New(qstash.Config{URLs: []string{"/api/sync/worker"}, Leeway: time.Hour})
	for _, field := range []string{"URL", "Leeway", "Keyring"} {
		require.ErrorContains(t, err, field)
	}
	_, err = qstash.New(
		qstash.Config{URLs: []string{`https://a.test/"`}, Current: hmacsig.Generate()},
	)
	require.ErrorContains(t, err, "unescaped")
	_, err = qstash.New(qstash.Config{
		URLs: []string{destination}, Current: hmacsig.Generate(), MaxBodyBytes: -1,
	})
	require.ErrorContains(t, err, "MaxBodyBytes")
	_, err = qstash.NewSigner(qstash.SignerConfig{URL: "ftp://a.test/", Lifetime: 48 * time.Hour})
	for _, field := range []string{"URL", "Lifetime", "Secret"} {
		require.ErrorContains(t, err, field)
	}
}

// Genuine signatures over claims at the edges.
func TestClaimEdges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		current := hmacsig.Generate()
		const empty = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
		good := `{"iss":"Upstash","sub":"` + destination + `","exp":946684810,"nbf":946684795,` +
			`"iat":946684795,"jti":"j","body":"` + empty + `"}`
		for _, row := range []struct {
			name, old, replacement string
			leeway                 time.Duration
			want                   string
		}{
			{"good", "", "", 0, ""},
			{"exp now", "946684810", "946684800", 0, hmacsig.CodeSignatureExpired},
			{"exp in a second", "946684810", "946684801", 0, ""},
			{"exp now, leeway", "946684810", "946684800", time.Second, ""},
			{"exp a second ago, leeway", "946684810", "946684799", time.Second, hmacsig.CodeSignatureExpired},
			{"nbf now", `"nbf":946684795`, `"nbf":946684800`, 0, ""},
			{"nbf in a second", `"nbf":946684795`, `"nbf":946684801`, 0, hmacsig.CodeSignatureNotYetValid},
			{"nbf in a second, leeway", `"nbf":946684795`, `"nbf":946684801`, time.Second, ""},
			{"lives a day", "946684810", "946771195", 0, ""},
			{"lives longer", "946684810", "946771196", 0, hmacsig.CodeSignatureClaims},
			{"empty jti", `"j"`, `""`, 0, hmacsig.CodeSignatureMalformed},
			{"long jti", `"j"`, `"` + strings.Repeat("j", 129) + `"`, 0, hmacsig.CodeSignatureMalformed},
			{"digest too long", empty, empty + "AAAA", 0, hmacsig.CodeSignatureMalformed},
			{"digest with two pads", empty, empty + "==", 0, hmacsig.CodeSignatureMalformed},
			{"other digest", empty, "A" + empty[1:], 0, hmacsig.CodeBodyDigest},
			{"iat missing", `"iat":946684795,`, "", 0, hmacsig.CodeSignatureMalformed},
			{"iat as text", `"iat":946684795`, `"iat":"946684795"`, 0, hmacsig.CodeSignatureMalformed},
			{"too long", `{"iss"`, `{` + strings.Repeat(" ", 2100) + `"iss"`, 0, hmacsig.CodeSignatureMalformed},
		} {
			v, err := qstash.New(
				qstash.Config{URLs: []string{destination}, Current: current, Leeway: row.leeway},
			)
			require.NoError(t, err)
			text := "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." +
				base64.RawURLEncoding.EncodeToString(
					[]byte(strings.Replace(good, row.old, row.replacement, 1)),
				)
			mac := hmac.New(sha256.New, []byte(current.Reveal()))
			mac.Write([]byte(text))
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.Header.Set(qstash.Header, text+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
			_, err = v.Check(r)
			var got string
			if err != nil {
				var rejection *sallyport.Refusal
				require.ErrorAs(t, err, &rejection)
				got = rejection.Code
			}
			require.Equal(t, row.want, got, row.name)
		}
	})
}

// The scratch space of a delivery follows its token.
func TestMemoryOfADelivery(t *testing.T) {
	current := hmacsig.Generate()
	v, err := qstash.New(qstash.Config{
		URLs: []string{destination}, Current: current, DangerouslyAllowReplay: true,
	})
	require.NoError(t, err)
	signer, err := qstash.NewSigner(qstash.SignerConfig{URL: destination, Secret: current})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	require.NoError(t, signer.Sign(r))
	const runs = 1000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		_, err = v.Check(r)
		require.NoError(t, err)
	}
	runtime.ReadMemStats(&after)
	require.Less(t, (after.TotalAlloc-before.TotalAlloc)/runs, uint64(1500))
}

// Host is the client's to choose: what is signed for another destination does
// not verify because Host says so.
func TestDestinationComesFromTheConfiguration(t *testing.T) {
	t.Parallel()
	current := hmacsig.Generate()
	signer, err := qstash.NewSigner(
		qstash.SignerConfig{URL: "https://other.test/w", Secret: current},
	)
	require.NoError(t, err)
	v, err := qstash.New(qstash.Config{URLs: []string{destination}, Current: current})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "https://other.test/w", strings.NewReader("{}"))
	require.NoError(t, signer.Sign(r))
	_, err = v.Check(r)
	var rejection *sallyport.Refusal
	require.ErrorAs(t, err, &rejection)
	require.Equal(t, hmacsig.CodeSignatureClaims, rejection.Code)
	require.Equal(t, http.StatusForbidden, rejection.Status)
}
