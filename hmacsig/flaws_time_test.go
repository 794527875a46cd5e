package hmacsig_test

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig"
)

// dripping is a body that takes its time.
type dripping struct {
	io.Reader
	wait time.Duration
}

func (d *dripping) Read(p []byte) (int, error) {
	time.Sleep(d.wait) // a bubble's time
	d.wait = 0
	return d.Reader.Read(p)
}

// A copy whose body is withheld until the record of the first one has gone
// must not be let in after it.
func TestFlawSlowBodyOutlivesTheReplayEntry(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		wait time.Duration
		want string
	}{
		{0, hmacsig.CodeReplayed},
		{time.Minute, hmacsig.CodeReplayed},
		{time.Hour, hmacsig.CodeSignatureExpired},
	} {
		synctest.Test(t, func(t *testing.T) {
			scheme, s := hmacsig.RFC9421(), hmacsig.Generate()
			v := verifier(t, scheme, s)
			r := signAt(t, scheme, s, time.Now(), "{}")
			proof, err := v.Check(r)
			require.NoError(t, err)
			require.NoError(t, v.Confirm(t.Context(), proof))
			late := r.Clone(t.Context())
			late.Body = io.NopCloser(&dripping{strings.NewReader("{}"), row.wait})
			_, err = v.Check(late)
			require.Equal(t, row.want, reasonOf(t, err), row.wait)

			// The record of one that arrives slowly, but in time, is of then.
			slow := signAt(t, scheme, s, time.Now(), "{}")
			slow.Body = io.NopCloser(&dripping{strings.NewReader("{}"), time.Minute})
			proof, err = v.Check(slow)
			require.NoError(t, err)
			require.Equal(t, time.Now(), proof.Replay.At)
		})
	}
}
