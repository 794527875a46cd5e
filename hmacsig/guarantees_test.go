package hmacsig_test

import (
	"context"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
)

// A forgery costs the same number of MACs whether its key id exists or not, and
// whether that id is rotating or not: as many as the largest keyring has keys.
func TestForgeriesCostTheSameMACs(t *testing.T) {
	t.Parallel()
	one := rotation(t, hmacsig.Generate(), hmacsig.Secret{})
	two := rotation(t, hmacsig.Generate(), hmacsig.Generate())
	three := ring(t,
		hmacsig.Key{Name: "a", Secret: hmacsig.Generate()},
		hmacsig.Key{Name: "b", Secret: hmacsig.Generate()},
		hmacsig.Key{Name: "c", Secret: hmacsig.Generate()},
		hmacsig.Key{Name: "over", Secret: hmacsig.Generate(), NotAfter: time.Now().Add(-time.Hour)},
	)
	v, err := hmacsig.New(hmacsig.Config{
		Scheme: hmacsig.OpsMantik(),
		Keys:   hmacsig.StaticKeys{"one": one, "two": two, "three": three},
	})
	require.NoError(t, err)
	spent := func(keyID string) int {
		r := signAt(t, hmacsig.OpsMantik(), hmacsig.Generate(), time.Now(), "{}")
		r.Header.Set("X-Ops-Site-Id", keyID)
		return hmacsig.ExportSpent(v, r)
	}
	require.Equal(t, 1, spent("unknown"))
	require.Equal(t, 1, spent("one"))
	require.Equal(t, 2, spent("two"))
	require.Equal(t, 2, spent("unknown"))
	require.Equal(t, 3, spent("three"))
	for _, keyID := range []string{"unknown", "one", "two", "three"} {
		require.Equal(t, 3, spent(keyID), keyID)
	}
}

// recorder is a store that keeps what it was asked.
type recorder struct{ entries []hmacsig.ReplayEntry }

func (s *recorder) Claim(_ context.Context, e hmacsig.ReplayEntry) (hmacsig.ClaimState, error) {
	s.entries = append(s.entries, e)
	return hmacsig.Claimed, nil
}

func (s *recorder) Confirm(context.Context, hmacsig.ReplayEntry) error { return nil }
func (s *recorder) Release(context.Context, hmacsig.ReplayEntry) error { return nil }

// A message is accepted until, and not in, the second of its record's end: no
// second in which a record is gone and its message still good, and none more.
func TestRecordEndsWithItsMessage(t *testing.T) {
	t.Parallel()
	ends := func(expires int64) hmacsig.Scheme {
		scheme := hmacsig.OpsMantik()
		scheme.Open = func(m *hmacsig.Message, _ time.Time) error {
			m.Expires = expires
			return nil
		}
		return scheme
	}
	untimed := hmacsig.GitHub()
	untimed.Open = ends(start.Unix() + 77).Open
	for _, row := range []struct {
		name   string
		scheme hmacsig.Scheme
		last   time.Duration // the last second in which it is accepted
	}{
		{"the window", hmacsig.OpsMantik(), 300 * time.Second},
		{"an end before the window's", ends(start.Unix() + 100), 99 * time.Second},
		{"the window before an end", ends(start.Unix() + 1000), 300 * time.Second},
		{"the window and an end together", ends(start.Unix() + 301), 300 * time.Second},
		{"an end alone", untimed, 76 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			require.Equal(t, start.Unix(), time.Now().Unix())
			s, store := hmacsig.Generate(), new(recorder)
			v := custom(t, row.scheme, s, func(c *hmacsig.Config) { c.Replay = store })
			r := signAt(t, row.scheme, s, time.Now(), "{}")
			check := func() string {
				r.Body, _ = r.GetBody()
				_, err := v.Check(r)
				return reasonOf(t, err)
			}
			require.Empty(t, check(), row.name)
			time.Sleep(row.last)
			require.Empty(t, check(), row.name)
			time.Sleep(time.Second)
			require.Equal(t, hmacsig.CodeSignatureExpired, check(), row.name)
			for _, e := range store.entries {
				require.Equal(t, start.Add(row.last+time.Second).Unix(), e.Until.Unix(), row.name)
			}
		})
	}
}

// start is when a synctest bubble begins.
var start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// An untimed message without an end is remembered for MaxAge.
func TestRecordOfAnUntimedMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, store := hmacsig.Generate(), new(recorder)
		v := custom(t, hmacsig.GitHub(), s, func(c *hmacsig.Config) { c.Replay = store })
		_, err := v.Check(signAt(t, hmacsig.GitHub(), s, time.Now(), "{}"))
		require.NoError(t, err)
		require.Equal(t, start.Add(24*time.Hour+time.Second).Unix(), store.entries[0].Until.Unix())
	})
}

// A field with a promise is enforced for every scheme: Expires, wherever it was
// set, whatever else the scheme checks.
func TestExpiresIsEnforced(t *testing.T) {
	t.Parallel()
	now := time.Now().Unix()
	for _, row := range []struct {
		name    string
		expires int64
		want    string
	}{
		{"an hour ago", now - 3600, hmacsig.CodeSignatureExpired},
		{"before 1970", math.MinInt64, hmacsig.CodeSignatureExpired},
		{"now", now, hmacsig.CodeSignatureExpired},
		{"in a minute", now + 60, ""},
		{"tomorrow", now + 23*3600, ""},
		{"in two days", now + 48*3600, hmacsig.CodeSignatureClaims},
		{"never", math.MaxInt64, hmacsig.CodeSignatureClaims},
	} {
		for _, untimed := range []bool{false, true} {
			for _, inRead := range []bool{false, true} {
				scheme := hmacsig.OpsMantik()
				scheme.Untimed = untimed
				if inRead {
					read := scheme.Read
					scheme.Read = func(r *http.Request, m *hmacsig.Message) error {
						m.Expires = row.expires
						return read(r, m)
					}
				} else {
					scheme.Open = func(m *hmacsig.Message, _ time.Time) error {
						m.Expires = row.expires
						return nil
					}
				}
				s := hmacsig.Generate()
				v := verifier(t, scheme, s)
				accepted := 0
				for range 3 {
					proof, err := v.Check(signAt(t, scheme, s, time.Unix(now, 0), "{}"))
					if err == nil {
						accepted++
						require.NoError(t, v.Confirm(t.Context(), proof))
						continue
					}
					want := row.want
					if accepted > 0 {
						want = hmacsig.CodeReplayed
					}
					require.Equal(t, want, reasonOf(t, err), row.name)
				}
				require.LessOrEqual(t, accepted, 1, row.name)
			}
		}
	}
}

// Zero values and nil refuse, and nothing panics.
func TestZeroValues(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]*hmacsig.Verifier{"zero": {}, "nil": nil} {
		r := signAt(t, hmacsig.OpsMantik(), hmacsig.Generate(), time.Now(), "{}")
		_, err := v.Check(r)
		require.Equal(t, hmacsig.CodeNotConfigured, reasonOf(t, err), name)
		w := serve(v.Wrap(status(http.StatusOK)), r)
		require.Equal(t, http.StatusServiceUnavailable, w.Code, name)
		require.Contains(t, w.Body.String(), `"code":"hmacsig_not_configured"`, name)
		require.NoError(t, v.Confirm(t.Context(), hmacsig.Proof{}), name)
		require.NoError(t, v.Release(t.Context(), hmacsig.Proof{}), name)
	}
	for name, s := range map[string]*hmacsig.Signer{"zero": {}, "nil": nil} {
		r := signAt(t, hmacsig.OpsMantik(), hmacsig.Generate(), time.Now(), "{}")
		require.ErrorContains(t, s.Sign(r), "NewSigner", name)
		body := &closing{Reader: r.Body}
		r.Body = body
		_, err := hmacsig.NewTransport(nil, s).RoundTrip(r)
		require.ErrorContains(t, err, "NewSigner", name)
		require.Equal(t, 1, body.closed)
	}
	for name, m := range map[string]*hmacsig.MemoryReplay{"zero": {}, "nil": nil} {
		e := numbered(1, time.Now())
		_, err := m.Claim(t.Context(), e)
		require.ErrorContains(t, err, "NewMemoryReplay", name)
		require.Error(t, m.Confirm(t.Context(), e), name)
		require.Error(t, m.Release(t.Context(), e), name)
	}
	for name, c := range map[string]*hmacsig.Cache{"zero": {}, "nil": nil} {
		_, err := c.Keys(t.Context(), "a")
		require.ErrorContains(t, err, "NewCache", name)
		require.NotErrorIs(t, err, hmacsig.ErrUnknownKey, "503 and not 401")
	}
	_, ok := hmacsig.Keyring{}.Signing(time.Now())
	require.False(t, ok)
	require.Empty(t, hmacsig.Secret{}.Reveal())
	_, ok = hmacsig.FromContext(t.Context())
	require.False(t, ok)
}

// Errors of New say what is wrong before the first genuine message is refused.
func TestConfigurationsThatVerifyNothing(t *testing.T) {
	t.Parallel()
	keys := rotation(t, hmacsig.Generate(), hmacsig.Secret{})
	for _, row := range []struct {
		name   string
		scheme hmacsig.Scheme
		ids    []string
		codes  []string
	}{
		{"a site for GitHub", hmacsig.GitHub(), []string{"site"}, []string{sallyport.ConfigConflict}},
		{"a site beside none for Stripe", hmacsig.Stripe(), []string{"", "site"}, []string{sallyport.ConfigConflict}},
		{"none for OpsMantik", hmacsig.OpsMantik(), []string{""}, []string{sallyport.ConfigMalformed}},
		{
			"ids that no header may hold", hmacsig.OpsMantik(),
			[]string{"a b", "site", "ü"},
			[]string{sallyport.ConfigMalformed, sallyport.ConfigMalformed},
		},
		{"right", hmacsig.OpsMantik(), []string{"site"}, nil},
		{"right, without ids", hmacsig.Slack(), []string{""}, nil},
	} {
		static := hmacsig.StaticKeys{}
		for _, id := range row.ids {
			static[id] = keys
		}
		_, err := hmacsig.New(hmacsig.Config{Scheme: row.scheme, Keys: static})
		require.Equal(t, row.codes, problemCodes(err), row.name)
	}
	for _, row := range []struct {
		name, keyID string
		scheme      hmacsig.Scheme
		code        []string
	}{
		{"none", "", hmacsig.OpsMantik(), []string{sallyport.ConfigMalformed}},
		{"a blank", "a b", hmacsig.OpsMantik(), []string{sallyport.ConfigMalformed}},
		{"a quote", `a"b`, hmacsig.RFC9421(), []string{sallyport.ConfigMalformed}},
		{"one too many", "site", hmacsig.Slack(), []string{sallyport.ConfigConflict}},
		{"right", "site", hmacsig.OpsMantik(), nil},
	} {
		_, err := hmacsig.NewSigner(hmacsig.SignerConfig{
			Scheme: row.scheme, KeyID: row.keyID, Secret: hmacsig.Generate(),
		})
		require.Equal(t, row.code, problemCodes(err), row.name)
	}
}

// problemCodes lists the codes of joined configuration errors.
func problemCodes(err error) (codes []string) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	for _, err := range joined.Unwrap() {
		problem, ok := err.(*sallyport.ConfigError)
		if !ok {
			return []string{"not a ConfigError"}
		}
		codes = append(codes, problem.Code)
	}
	return codes
}

// Two messages of a sender that may sign several times are two messages, and one
// is one, whichever key comes first.
func TestSeveralMessagesUnderSeveralKeys(t *testing.T) {
	t.Parallel()
	for _, scheme := range []hmacsig.Scheme{hmacsig.Stripe(), paddle(), box()} {
		a, b := hmacsig.Generate(), hmacsig.Generate()
		v, err := hmacsig.New(hmacsig.Config{
			Scheme: scheme, Keys: hmacsig.StaticKeys{"": rotation(t, a, b)},
		})
		require.NoError(t, err)
		now := time.Now()
		ids := map[[32]byte]bool{}
		for _, secret := range []hmacsig.Secret{a, b} {
			for _, content := range []string{"{}", "[]", `{"n":1}`} {
				proof, err := v.Check(signAt(t, scheme, secret, now, content))
				if ids[proof.Replay.ID] || err != nil {
					require.Equal(t, hmacsig.CodeReplayed, reasonOf(t, err), scheme.Name)
					continue
				}
				ids[proof.Replay.ID] = true
				require.NoError(t, v.Confirm(t.Context(), proof))
			}
		}
		require.Len(t, ids, 3, "three messages, each under two keys")
	}
}

// What a Proof says of the time, to the nanosecond.
func TestTimesOfAProof(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(1500 * time.Millisecond)
		for _, scheme := range []hmacsig.Scheme{hmacsig.OpsMantik(), hmacsig.GitHub()} {
			s, store := hmacsig.Generate(), new(recorder)
			v := custom(t, scheme, s, func(c *hmacsig.Config) { c.Replay = store })
			proof, err := v.Check(signAt(t, scheme, s, time.Now(), "{}"))
			require.NoError(t, err)
			require.Equal(t, scheme.Untimed, proof.Timestamp.IsZero())
			end := start.Add(time.Second + scheme.MaxAge + time.Second)
			require.True(t, store.entries[0].Until.Equal(end), scheme.Name)
			require.True(t, store.entries[0].At.Equal(time.Now()))
			if !scheme.Untimed {
				require.True(t, proof.Timestamp.Equal(start.Add(time.Second)))
			}
		}
	})
}

// A message may last for a day, and says why when it wants more.
func TestExpiresWithinADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * 60 * 60
		for ahead, want := range map[int64]string{day: "", day + 1: hmacsig.CodeSignatureClaims} {
			scheme := hmacsig.GitHub()
			scheme.Open = func(m *hmacsig.Message, now time.Time) error {
				m.Expires = now.Unix() + ahead
				return nil
			}
			s := hmacsig.Generate()
			_, err := verifier(t, scheme, s).Check(signAt(t, scheme, s, time.Now(), "{}"))
			require.Equal(t, want, reasonOf(t, err))
			if want != "" {
				require.ErrorContains(t, err, "24 hours")
			}
		}
	})
}

// The longest key id, and one more.
func TestLongestKeyID(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]string{
		256: hmacsig.CodeSignatureInvalid, 257: hmacsig.CodeSignatureMalformed,
	} {
		scheme := hmacsig.GitHub()
		read := scheme.Read
		scheme.KeyID = func(string) bool { return true }
		scheme.Read = func(r *http.Request, m *hmacsig.Message) error {
			m.KeyID = strings.Repeat("k", size)
			return read(r, m)
		}
		s := hmacsig.Generate()
		_, err := verifier(t, scheme, s).Check(signAt(t, hmacsig.GitHub(), s, time.Now(), "{}"))
		require.Equal(t, want, reasonOf(t, err), size)
	}
}
