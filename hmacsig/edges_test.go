package hmacsig_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
)

// answering is a store that says what it is told.
type answering struct {
	state    hmacsig.ClaimState
	err      error
	settled  chan context.Context
	onSettle error
}

func (a *answering) Claim(context.Context, hmacsig.ReplayEntry) (hmacsig.ClaimState, error) {
	return a.state, a.err
}

func (a *answering) Confirm(ctx context.Context, _ hmacsig.ReplayEntry) error {
	a.settled <- ctx
	return errors.Join(a.err, a.onSettle)
}

func (a *answering) Release(ctx context.Context, _ hmacsig.ReplayEntry) error {
	a.settled <- ctx
	return errors.Join(a.err, a.onSettle)
}

func TestEveryAnswerOfAStore(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	for _, row := range []struct {
		name  string
		state hmacsig.ClaimState
		err   error
		want  string
	}{
		{"claimed", hmacsig.Claimed, nil, ""},
		{"in flight", hmacsig.InFlight, nil, hmacsig.CodeInFlight},
		{"replayed", hmacsig.Replayed, nil, hmacsig.CodeReplayed},
		{"full", hmacsig.StoreFull, nil, hmacsig.CodeReplayStoreFull},
		{"share full", hmacsig.ShareFull, nil, hmacsig.CodeReplayShareFull},
		{"down", 0, down, hmacsig.CodeReplayUnavailable},
		{"claimed, with an error", hmacsig.Claimed, down, hmacsig.CodeReplayUnavailable},
		{"no answer", 0, nil, hmacsig.CodeReplayUnavailable},
		{"nonsense", 17, nil, hmacsig.CodeReplayUnavailable},
	} {
		s := hmacsig.Generate()
		v := custom(t, hmacsig.OpsMantik(), s, func(c *hmacsig.Config) {
			c.Replay = &answering{
				state:   row.state,
				err:     row.err,
				settled: make(chan context.Context, 9),
			}
		})
		handled := false
		w := serve(
			v.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { handled = true })),
			signAt(t, hmacsig.OpsMantik(), s, time.Now(), "{}"),
		)
		require.Equal(t, row.want == "", handled, row.name)
		if row.want != "" {
			require.Contains(t, w.Body.String(), row.want, row.name)
			require.NotContains(t, w.Body.String(), "down", row.name)
			_, err := v.Check(signAt(t, hmacsig.OpsMantik(), s, time.Now(), "{}"))
			if row.err != nil {
				require.ErrorIs(t, err, row.err, "the cause is for hooks")
			}
			require.ErrorContains(t, err, row.want)
		}
	}
}

// collect returns a hook and what it was told, by code.
func collect() (codes func() []string, onEvent func(context.Context, sallyport.Event)) {
	var seen []string
	return func() []string { return seen }, func(_ context.Context, e sallyport.Event) {
		seen = append(seen, e.Code)
	}
}

// A client that hangs up must not leave its message in flight; an error of
// settling reaches the operator.
func TestSettlingOutlivesTheRequest(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	store := &answering{state: hmacsig.Claimed, settled: make(chan context.Context, 1)}
	var told error
	v := custom(t, hmacsig.OpsMantik(), s, func(c *hmacsig.Config) {
		c.Replay = store
		c.OnEvent = func(_ context.Context, e sallyport.Event) {
			if e.Code == hmacsig.CodeClaimNotSettled {
				told = e.Err
			}
		}
	})
	type key struct{}
	ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "kept"), time.Hour)
	h := v.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		require.Equal(t, "kept", r.Context().Value(key{}))
		cancel()
		require.Error(t, r.Context().Err())
		store.err = errors.New("away")
	}))
	serve(h, signAt(t, hmacsig.OpsMantik(), s, time.Now(), "{}").WithContext(ctx))
	settling := <-store.settled
	require.NoError(t, settling.Err())
	require.Nil(t, settling.Done())
	_, bounded := settling.Deadline()
	require.False(t, bounded)
	require.Equal(t, "kept", settling.Value(key{}))
	require.ErrorContains(t, told, "away")
}

func TestWithoutReplayStore(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	v := custom(
		t,
		hmacsig.OpsMantik(),
		s,
		func(c *hmacsig.Config) { c.DangerouslyAllowReplay = true },
	)
	request := signed(t, s, "{}")
	for range 2 {
		require.Equal(t, http.StatusOK, serve(v.Wrap(status(http.StatusOK)), request()).Code)
		proof, err := v.Check(request())
		require.NoError(t, err)
		require.NoError(t, v.Confirm(t.Context(), proof))
		require.NoError(t, v.Release(t.Context(), proof))
		require.NotZero(t, proof.Replay.ID, "for a record of one's own")
		require.True(t, proof.Replay.Until.After(time.Now().Add(299*time.Second)))
	}
}

// Hooks see each decision once, and cannot change it.
func TestHooks(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	var seen []sallyport.Event
	v := custom(t, hmacsig.OpsMantik(), s, func(c *hmacsig.Config) {
		c.OnEvent = func(_ context.Context, e sallyport.Event) { seen = append(seen, e) }
		c.OnReject = func(w http.ResponseWriter, _ *http.Request, r *sallyport.Refusal) {
			w.WriteHeader(r.Status)
		}
	})
	h := v.Wrap(status(http.StatusOK))
	request := signed(t, s, "{}")
	serve(h, request())
	serve(h, request())
	serve(h, httptest.NewRequest(http.MethodPost, "/", nil))
	_, err := v.Check(httptest.NewRequest(http.MethodPost, "/", nil))
	require.Error(t, err)
	require.Len(t, seen, 4)
	proof, _ := seen[0].Detail.(hmacsig.Proof)
	require.Equal(t, site, proof.KeyID)
	require.True(t, seen[0].Allowed)
	require.Equal(t, hmacsig.CodeSignatureVerified, seen[0].Code)
	for i, want := range []string{
		hmacsig.CodeReplayed, hmacsig.CodeSignatureMissing, hmacsig.CodeSignatureMissing,
	} {
		require.Equal(t, want, seen[i+1].Code)
		require.False(t, seen[i+1].Allowed)
		require.Nil(t, seen[i+1].Detail)
	}
	for _, e := range seen {
		require.Equal(t, "hmacsig", e.Gate)
		require.Equal(t, "opsmantik", e.Policy)
		require.NotNil(t, e.Request)
	}
}

// Retry-After and WWW-Authenticate are there before OnReject, and an OnReject that
// writes nothing does not turn a refusal into a 200.
func TestHeadersBeforeOnReject(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	for _, row := range []struct {
		code           string
		store          *answering
		sign           hmacsig.Secret
		status         int
		retry, clients string
	}{
		{hmacsig.CodeInFlight, &answering{state: hmacsig.InFlight}, s, http.StatusServiceUnavailable, "5", ""},
		{hmacsig.CodeReplayShareFull, &answering{state: hmacsig.ShareFull}, s, http.StatusTooManyRequests, "5", ""},
		{hmacsig.CodeReplayed, &answering{state: hmacsig.Replayed}, s, http.StatusConflict, "", ""},
		{
			hmacsig.CodeSignatureInvalid, &answering{}, hmacsig.Generate(), http.StatusUnauthorized, "",
			`Signature scheme="opsmantik"`,
		},
	} {
		var seen http.Header
		var refused *sallyport.Refusal
		v := custom(t, hmacsig.OpsMantik(), s, func(c *hmacsig.Config) {
			c.Replay = row.store
			c.OnReject = func(w http.ResponseWriter, _ *http.Request, r *sallyport.Refusal) {
				seen, refused = w.Header().Clone(), r
			}
		})
		w := serve(
			v.Wrap(status(http.StatusOK)),
			signAt(t, hmacsig.OpsMantik(), row.sign, time.Now(), "{}"),
		)
		require.Equal(t, row.status, w.Code, row.code)
		require.Equal(t, row.code, refused.Code)
		require.Equal(t, "hmacsig", refused.Gate)
		require.Empty(t, seen.Get("Connection"), "only a body that is not read ends the connection")
		require.Equal(t, row.retry, seen.Get("Retry-After"), row.code)
		require.Equal(t, row.clients, seen.Get("WWW-Authenticate"), row.code)
		require.Contains(t, w.Body.String(), `"code":"`+row.code+`"`)
	}
}

// A hook that panics has not decided: its message can be sent again.
func TestPanickingHookReleases(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	calls := 0
	v := custom(t, hmacsig.OpsMantik(), s, func(c *hmacsig.Config) {
		c.OnEvent = func(context.Context, sallyport.Event) {
			if calls++; calls <= 2 {
				panic("a hook of theirs")
			}
		}
	})
	request := signed(t, s, "{}")
	require.Panics(t, func() { _, _ = v.Check(request()) })
	h := v.Wrap(status(http.StatusOK))
	require.Panics(t, func() { h.ServeHTTP(httptest.NewRecorder(), request()) })
	require.Equal(t, http.StatusOK, serve(h, request()).Code)
	require.Equal(t, http.StatusConflict, serve(h, request()).Code)
}

func TestProblemBody(t *testing.T) {
	t.Parallel()
	w := serve(verifier(t, hmacsig.OpsMantik(), hmacsig.Generate()).Wrap(status(http.StatusOK)),
		httptest.NewRequest(http.MethodPost, "/", nil))
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	require.Contains(t, w.Body.String(), `"code":"signature_missing"`)
}

func TestSchemeAndConfigLimits(t *testing.T) {
	t.Parallel()
	scheme := hmacsig.OpsMantik()
	scheme.Name, scheme.Status = strings.Repeat("x", 256), 200
	scheme.SignsDigest, scheme.IgnoresBody = true, true
	scheme.Tail = func(dst []byte, _ *http.Request, _ *hmacsig.Message) []byte { return dst }
	_, err := hmacsig.New(hmacsig.Config{Scheme: scheme, Keys: hmacsig.StaticKeys{}})
	for _, field := range []string{"Scheme.Name", "Scheme.SignsDigest", "Scheme.Status", "Scheme.Tail"} {
		require.ErrorContains(t, err, field)
	}
	// A scheme that reads no signature, or too long a key id, gets nowhere.
	s := hmacsig.Generate()
	for _, read := range []func(*http.Request, *hmacsig.Message) error{
		func(*http.Request, *hmacsig.Message) error { return nil },
		func(_ *http.Request, m *hmacsig.Message) error {
			m.KeyID = strings.Repeat("x", 257)
			m.AddHex(strings.Repeat("0", 64))
			return nil
		},
		func(*http.Request, *hmacsig.Message) error { return errors.New("of its own") },
	} {
		scheme := hmacsig.GitHub()
		scheme.Read = read
		_, err := verifier(t, scheme, s).Check(httptest.NewRequest(http.MethodPost, "/", nil))
		require.Equal(t, hmacsig.CodeSignatureMalformed, reasonOf(t, err))
	}
	_, ok := hmacsig.Keyring{}.Signing(time.Now())
	require.False(t, ok)
	require.Zero(t, hmacsig.Keyring{}.Len())
}

func TestSingleHeader(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		values []string
		want   error
	}{
		{"none", nil, hmacsig.Fault(hmacsig.CodeSignatureMissing)},
		{"empty", []string{""}, hmacsig.Fault(hmacsig.CodeSignatureMissing)},
		{"two", []string{"a", "a"}, hmacsig.Fault(hmacsig.CodeSignatureMalformed)},
		{"two empty", []string{"", ""}, hmacsig.Fault(hmacsig.CodeSignatureMalformed)},
		{"4 KiB", []string{strings.Repeat("a", 4<<10)}, nil},
		{"more", []string{strings.Repeat("a", 4<<10+1)}, hmacsig.Fault(hmacsig.CodeSignatureMalformed)},
	} {
		_, err := hmacsig.SingleHeader(http.Header{"X": row.values}, "X")
		require.ErrorIs(t, err, row.want, row.name)
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]string{
		hmacsig.Fault(hmacsig.CodeSignatureExpired):     hmacsig.CodeSignatureExpired,
		hmacsig.Fault(hmacsig.CodeSignatureNotYetValid): hmacsig.CodeSignatureNotYetValid,
		hmacsig.Fault(hmacsig.CodeSignatureClaims):      hmacsig.CodeSignatureClaims,
		errors.New("other"):                             hmacsig.CodeSignatureMalformed,
	} {
		scheme := hmacsig.GitHub()
		scheme.Open = func(*hmacsig.Message, time.Time) error { return err }
		s := hmacsig.Generate()
		_, got := verifier(t, scheme, s).Check(signAt(t, scheme, s, time.Now(), "{}"))
		require.Equal(t, want, reasonOf(t, got))
	}
}

// RFC9421 reads the request line where there is one, and the URL where not.
func TestRFC9421Targets(t *testing.T) {
	t.Parallel()
	base := func(r *http.Request) string {
		return string(hmacsig.RFC9421().Base(nil, r, &hmacsig.Message{Raw: "x"}))
	}
	outgoing := &http.Request{URL: &url.URL{Scheme: "https", Host: "A.test:443"}}
	require.Contains(
		t,
		base(outgoing),
		"\"@method\": GET\n\"@authority\": a.test\n\"@path\": /\n\"@query\": ?\n",
	)
	require.Contains(
		t,
		base(&http.Request{Host: "a.test:80"}),
		"\"@authority\": a.test\n\"@path\": /\n",
	)
	proxied := &http.Request{
		RequestURI: "http://a.test/x?y",
		URL:        &url.URL{Path: "/x y", RawQuery: "z"},
	}
	require.Contains(t, base(proxied), "\"@path\": /x%20y\n\"@query\": ?z\n")

	s := hmacsig.Generate()
	v := verifier(t, hmacsig.RFC9421(), s)
	for _, inject := range []func(*http.Request){
		func(r *http.Request) { r.Host += "\n" },
		func(r *http.Request) { r.RequestURI += "\n" },
		func(r *http.Request) { r.Method += "\n" },
	} {
		r := signAt(t, hmacsig.RFC9421(), s, time.Now(), "{}")
		inject(r)
		_, err := v.Check(r)
		require.Equal(t, hmacsig.CodeSignatureMalformed, reasonOf(t, err))
	}
	long := signAt(t, hmacsig.RFC9421(), s, time.Now(), "{}")
	long.RequestURI = "/" + strings.Repeat("x", 20<<10)
	_, err := v.Check(long)
	require.Equal(t, hmacsig.CodeSignatureInvalid, reasonOf(t, err))
}

func TestMoreBodies(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	// A body beyond what the pool keeps.
	large := custom(t, hmacsig.GitHub(), s, func(c *hmacsig.Config) { c.MaxBodyBytes = 16 << 20 })
	forged := httptest.NewRequest(
		http.MethodPost,
		"/",
		strings.NewReader(strings.Repeat("x", 9<<20)),
	)
	forged.Header.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64))
	_, err := large.Check(forged)
	require.Equal(t, hmacsig.CodeSignatureInvalid, reasonOf(t, err))
}

// Check allocates the restored body, or the refusal, and nothing else.
func TestAllocations(t *testing.T) {
	if racing {
		t.Skip("sync.Pool drops at random under the race detector")
	}
	s := hmacsig.Generate()
	for _, row := range []struct {
		name   string
		scheme hmacsig.Scheme
		signer hmacsig.Secret
		most   float64
	}{
		{"accepted", hmacsig.OpsMantik(), s, 1},                     // the restored body
		{"forged body", hmacsig.OpsMantik(), hmacsig.Generate(), 1}, // the Rejection
		{"forged header", hmacsig.RFC9421(), hmacsig.Generate(), 1},
	} {
		v := custom(t, row.scheme, s, func(c *hmacsig.Config) { c.DangerouslyAllowReplay = true })
		next := resend(t, row.scheme, row.signer, 256)
		got := testing.AllocsPerRun(1000, func() {
			r := next()
			_, _ = v.Check(r)
			_ = r.Body.Close()
		})
		require.LessOrEqual(t, got, row.most, row.name)
	}
}
