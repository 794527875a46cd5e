package server_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/voice/recording"
	"github.com/opsmantik/sallyport/examples/voice/server"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/tenancy"
)

var track = recording.Track{Site: "shop", Call: "c1", ID: "t1"}

// record keeps n packets of a second each, so that a few make a long file.
func (s *site) record(t testing.TB, at recording.Track, n int) []byte {
	t.Helper()
	r, err := s.Archive().Start(t.Context(), at)
	require.NoError(t, err)
	packet := append([]byte{0xfc}, bytes.Repeat([]byte("said "), 1000)...)
	for i := range n {
		for errors.Is(r.Write(uint16(i), uint32(i)*960, packet), recording.ErrSlow) {
			<-time.After(time.Millisecond)
		}
	}
	require.NoError(t, r.Close())
	code, outcome := s.trail.last()
	require.Equal(t, recording.CodeRecordingFinished, code)
	require.Equal(t, audit.OutcomeSuccess, outcome)
	opened, err := s.Archive().Open(t.Context(), at)
	require.NoError(t, err)
	whole, err := io.ReadAll(opened)
	require.NoError(t, err)
	return whole
}

// signURL signs as the server does, at any time.
func (s *site) signURL(t testing.TB, method, target string, at time.Time) (string, error) {
	t.Helper()
	key, ok := s.Keys().Signing(time.Now())
	require.True(t, ok)
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce)
	target += fmt.Sprintf("?expires=%d&nonce=%s&scope=recordings:play",
		at.Add(5*time.Minute).Unix(), base64.RawURLEncoding.EncodeToString(nonce))
	mac := hmac.New(sha256.New, []byte(key.Secret.Reveal()))
	mac.Write([]byte(method + "\n" + target))
	return target + "&sig=" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}

func (s *site) ask(method, target, body string, edits ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "text/plain")
	for _, edit := range edits {
		edit(r)
	}
	rec := httptest.NewRecorder()
	s.Handler().ServeHTTP(rec, r)
	return rec
}

func (s *site) link(t testing.TB, user func(*http.Request)) string {
	t.Helper()
	rec := s.ask(http.MethodPost, "/sites/shop/recordings/c1/t1/link", "", user)
	require.Equal(t, http.StatusOK, rec.Code, rec.Body)
	var answer struct {
		URL      string
		Finished bool
		Seconds  float64
	}
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &answer))
	require.True(t, answer.Finished)
	require.LessOrEqual(t, answer.Seconds, 300.)
	return answer.URL
}

func TestRecordingsArePlayedInRanges(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	whole := s.record(t, track, 40)
	bob := signIn(t, s.Handler(), "bob")
	rec := s.ask(http.MethodGet, "/sites/shop/recordings", "", bob)
	require.JSONEq(t, `[{"call":"c1","track":"t1"}]`, rec.Body.String())
	target := s.link(t, bob)
	code, outcome := s.trail.last()
	require.Equal(t, server.CodeRecordingLinked, code)
	require.Equal(t, audit.OutcomeSuccess, outcome)

	rec = s.ask(http.MethodGet, target, "")
	require.Equal(t, http.StatusOK, rec.Code)
	require.Equal(t, "audio/ogg", rec.Header().Get("Content-Type"))
	require.Equal(t, "no-store", rec.Header().Get("Cache-Control"))
	require.True(t, bytes.Equal(whole, rec.Body.Bytes()))
	for _, row := range []struct {
		ranges   string
		from, to int
	}{
		{"bytes=0-", 0, len(whole)},
		{"bytes=-100", len(whole) - 100, len(whole)},
		{"bytes=4090-12299", 4090, 12300},
		{"bytes=65000-66000", 65000, 66001},
	} {
		rec := s.ask(http.MethodGet, target, "", func(r *http.Request) { r.Header.Set("Range", row.ranges) })
		require.Equal(t, http.StatusPartialContent, rec.Code)
		require.True(t, bytes.Equal(whole[row.from:row.to], rec.Body.Bytes()), row.ranges)
	}
}

func TestLinksRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *server.Config) { c.LinkLifetime = 3 * time.Second })
	s.record(t, track, 4)
	s.record(t, recording.Track{Site: "shop", Call: "c2", ID: "t1"}, 4)
	ada := signIn(t, s.Handler(), "ada")
	target := s.link(t, ada)
	require.Equal(t, http.StatusOK, s.ask(http.MethodGet, target, "").Code)
	for name, changed := range map[string]string{
		"of another call":  strings.Replace(target, "/c1/", "/c2/", 1),
		"longer":           strings.Replace(target, "expires=", "expires=9", 1),
		"of another scope": strings.Replace(target, "scope=recordings", "scope=transcripts", 1),
		"without":          "/recordings/shop/c1/t1",
	} {
		rec := s.ask(http.MethodGet, changed, "")
		require.Contains(t, code(t, rec.Body.String()), "signature_", name)
	}
	rec := s.ask(http.MethodHead, target, "")
	require.Contains(t, code(t, rec.Body.String()), "signature_", "for another method")
	require.Eventually(t, func() bool {
		rec := s.ask(http.MethodGet, target, "")
		return rec.Code >= 400 && code(t, rec.Body.String()) == hmacsig.CodeSignatureExpired
	}, 20*time.Second, 50*time.Millisecond)
	last, outcome := s.trail.last()
	require.Equal(t, hmacsig.CodeSignatureExpired, last)
	require.Equal(t, audit.OutcomeDenied, outcome)
	require.Equal(t, http.StatusOK, s.ask(http.MethodGet, s.link(t, ada), "").Code, "renewed")
}

// TestALinkThatEndsCutsOff who is still reading then.
func TestALinkThatEndsCutsOff(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *server.Config) { c.LinkLifetime = 3 * time.Second })
	whole := s.record(t, track, 3000)
	require.Greater(t, len(whole), 14<<20, "more than a socket holds")
	web := httptest.NewServer(s.Handler())
	t.Cleanup(web.Close)
	ada := signIn(t, s.Handler(), "ada")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, web.URL+s.link(t, ada), nil)
	require.NoError(t, err)
	res, err := web.Client().Do(r)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	read := int64(0)
	for err == nil {
		var n int64
		n, err = io.CopyN(io.Discard, res.Body, 64<<10)
		read += n
		<-time.After(40 * time.Millisecond)
	}
	require.NotErrorIs(t, err, io.EOF, "the end is told from the cut")
	require.Less(t, read, int64(len(whole)))
	t.Log(read, "of", len(whole), err)
}

// slow takes its time for each Write, and knows no deadlines.
type slow struct {
	header http.Header
	taken  int
}

func (w *slow) Header() http.Header { return w.header }
func (w *slow) WriteHeader(int)     {}

func (w *slow) Write(p []byte) (int, error) {
	<-time.After(10 * time.Millisecond)
	w.taken += len(p)
	return len(p), nil
}

// TestALinkThatEndsCutsOffWithoutDeadlines: a wrapped response may have none.
func TestALinkThatEndsCutsOffWithoutDeadlines(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *server.Config) { c.LinkLifetime = 3 * time.Second })
	whole := s.record(t, track, 3000)
	w := &slow{header: http.Header{}}
	r := httptest.NewRequest(http.MethodGet, s.link(t, signIn(t, s.Handler(), "ada")), nil)
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { s.Handler().ServeHTTP(w, r) })
	require.NotZero(t, w.taken)
	require.Less(t, w.taken, len(whole))
}

// TestWhoDoesNotReadIsCutOff: the handler does not wait for him.
func TestWhoDoesNotReadIsCutOff(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *server.Config) { c.LinkLifetime = 3 * time.Second })
	s.record(t, track, 3000)
	done := make(chan struct{}, 10)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { done <- struct{}{} }()
		s.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		web.URL+s.link(t, signIn(t, s.Handler(), "ada")), nil)
	require.NoError(t, err)
	res, err := web.Client().Do(r)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		require.Fail(t, "the handler waits")
	}
}

func TestWhoHearsWhat(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.record(t, track, 4)
	ada, bob, eve := signIn(t, s.Handler(), "ada"), signIn(t, s.Handler(), "bob"), signIn(t, s.Handler(), "eve")
	const transcript = "/sites/shop/recordings/c1/transcript"
	refused := func(want string, rec *httptest.ResponseRecorder) {
		t.Helper()
		require.Equal(t, want, code(t, rec.Body.String()), rec.Body)
		last, outcome := s.trail.last()
		require.Equal(t, want, last)
		require.Equal(t, audit.OutcomeDenied, outcome)
	}
	for _, target := range []string{"/sites/shop/recordings", transcript} {
		refused(tenancy.CodeNotFound, s.ask(http.MethodGet, target, "", eve))
	}
	refused(tenancy.CodeNotFound, s.ask(http.MethodDelete, "/sites/shop/recordings/c1", "", bob))
	refused(server.CodeRecordingNotFound, s.ask(http.MethodPost, "/sites/shop/recordings/c1/t9/link", "", ada))
	refused(server.CodeRecordingNotFound, s.ask(http.MethodGet, transcript, "", ada))
	refused(server.CodeRecordingNotFound, s.ask(http.MethodPut, "/sites/shop/recordings/c9/transcript", "x", ada))
	refused(server.CodeBodyInvalid, s.ask(http.MethodPut, transcript, "x", ada,
		func(r *http.Request) { r.Header.Set("Content-Type", "text/html") }))

	rec := s.ask(http.MethodPut, transcript, "Hello. My card is 4111 1111 1111 1111.", bob)
	require.Equal(t, http.StatusNoContent, rec.Code)
	rec = s.ask(http.MethodGet, transcript, "", bob)
	require.Contains(t, rec.Body.String(), "Hello.")
	require.NotContains(t, rec.Body.String(), "4111")
	last, _ := s.trail.last()
	require.Equal(t, server.CodeTranscriptRead, last)

	ongoing, err := s.Archive().Start(t.Context(), recording.Track{Site: "shop", Call: "c1", ID: "t2"})
	require.NoError(t, err)
	refused(server.CodeCallOngoing, s.ask(http.MethodDelete, "/sites/shop/recordings/c1", "", ada))
	require.NoError(t, ongoing.Close())

	target := s.link(t, ada)
	require.Equal(t, http.StatusNoContent, s.ask(http.MethodDelete, "/sites/shop/recordings/c1", "", ada).Code)
	last, _ = s.trail.last()
	require.Equal(t, server.CodeCallErased, last)
	refused(server.CodeRecordingNotFound, s.ask(http.MethodGet, target, ""))
	refused(server.CodeRecordingNotFound, s.ask(http.MethodGet, transcript, "", ada))
}

func TestADamagedRecordingIsNotPlayed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	whole := s.record(t, track, 100)
	target := s.link(t, signIn(t, s.Handler(), "ada"))
	const segment = "shop/c1/t1/00000002"
	s.bucket.objects[segment][30_000] ^= 1
	rec := httptest.NewRecorder()
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		s.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, target, nil))
	}, "the connection ends where the recording is changed")
	require.Less(t, rec.Body.Len(), len(whole))
	require.True(t, bytes.HasPrefix(whole, rec.Body.Bytes()), "what came before is as it was")
	require.NoError(t, s.bucket.Delete(t.Context(), segment))
	rec = s.ask(http.MethodGet, target, "")
	require.Equal(t, server.CodeRecordingDamaged, code(t, rec.Body.String()))
}
