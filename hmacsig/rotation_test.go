package hmacsig_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig"
)

// A message that was accepted stays known while keys come and go: its record
// is under its own signature, not under whichever key happens to be first.
func TestRotationOpensNoReplay(t *testing.T) {
	t.Parallel()
	for _, scheme := range []hmacsig.Scheme{
		hmacsig.OpsMantik(), hmacsig.GitHub(), hmacsig.Slack(), hmacsig.StandardWebhooks(),
		hmacsig.RFC9421(),
	} {
		synctest.Test(t, func(t *testing.T) {
			s, next := hmacsig.Generate(), hmacsig.Generate()
			now := time.Now()
			old := hmacsig.Key{Name: "old", Secret: s}
			current := ring(t, old)
			v, err := hmacsig.New(hmacsig.Config{
				Scheme: scheme,
				Keys: sourceFunc(func(context.Context, string) (hmacsig.Keyring, error) {
					return current, nil
				}),
			})
			require.NoError(t, err)
			r := signAt(t, scheme, s, now, "{}")
			proof, err := v.Check(r)
			require.NoError(t, err)
			require.NoError(t, v.Confirm(t.Context(), proof))
			for _, keys := range [][]hmacsig.Key{
				{{Name: "new", Secret: next}, old},
				{{Name: "new", Secret: next, NotBefore: now.Add(10 * time.Second)}, old},
				{{Name: "new", Secret: next, NotAfter: now.Add(30 * time.Second)}, old},
				{old, {Name: "new", Secret: next}},
			} {
				current = ring(t, keys...)
				for range 2 {
					r.Body, _ = r.GetBody()
					_, err = v.Check(r)
					require.Equal(t, hmacsig.CodeReplayed, reasonOf(t, err), scheme.Name)
					time.Sleep(10 * time.Second)
				}
			}
		})
	}
}

func ring(t *testing.T, keys ...hmacsig.Key) hmacsig.Keyring {
	t.Helper()
	k, err := hmacsig.NewKeyring(keys...)
	require.NoError(t, err)
	return k
}

// One message, one signature, unless the scheme says otherwise: the second one
// would be a second name for the message.
func TestSecondSignatureIsMalformed(t *testing.T) {
	t.Parallel()
	for _, several := range []bool{false, true} {
		scheme, s := hmacsig.Stripe(), hmacsig.Generate()
		scheme.Several = several
		header := signAt(t, scheme, s, time.Now(), "{}").Header.Get("Stripe-Signature")
		_, mac, _ := strings.Cut(header, ",")
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
		r.Header.Set("Stripe-Signature", header+","+mac)
		_, err := verifier(t, scheme, s).Check(r)
		want := hmacsig.CodeSignatureMalformed
		if several {
			want = ""
		}
		require.Equal(t, want, reasonOf(t, err))
	}
}
