package hmacsig_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/hmacsig"
)

func custom(
	t testing.TB, scheme hmacsig.Scheme, s hmacsig.Secret, change func(*hmacsig.Config),
) *hmacsig.Verifier {
	t.Helper()
	ring := rotation(t, s, hmacsig.Secret{})
	cfg := hmacsig.Config{Scheme: scheme, Keys: keysFor(scheme, ring)}
	change(&cfg)
	v, err := hmacsig.New(cfg)
	require.NoError(t, err)
	return v
}

func TestBodyTooLargeIsRefusedUnread(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	v := custom(t, hmacsig.OpsMantik(), s, func(c *hmacsig.Config) { c.MaxBodyBytes = 10 })
	r := signAt(t, hmacsig.OpsMantik(), s, time.Now(), strings.Repeat("x", 11))
	body := &counting{Reader: r.Body}
	r.Body = body
	w := serve(v.Wrap(status(http.StatusOK)), r)
	require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
	require.Equal(t, "close", w.Header().Get("Connection"))
	require.Zero(t, body.n)
}

func TestBodyThatFails(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	v := verifier(t, hmacsig.OpsMantik(), s)
	for name, row := range map[string]struct {
		body io.Reader
		want string
	}{
		"broken off":      {iotest.ErrReader(io.ErrUnexpectedEOF), hmacsig.CodeBodyIncomplete},
		"error":           {iotest.ErrReader(io.ErrClosedPipe), hmacsig.CodeBodyUnreadable},
		"outer limit":     {iotest.ErrReader(&http.MaxBytesError{Limit: 1}), hmacsig.CodeBodyTooLarge},
		"nothing ever":    {idle{}, hmacsig.CodeBodyUnreadable},
		"byte by byte":    {iotest.OneByteReader(strings.NewReader("{}")), ""},
		"data with error": {iotest.DataErrReader(strings.NewReader("{}")), ""},
	} {
		r := signAt(t, hmacsig.OpsMantik(), s, time.Now(), "{}")
		r.Body, r.ContentLength = io.NopCloser(row.body), -1
		proof, err := v.Check(r)
		require.Equal(t, row.want, reasonOf(t, err), name)
		if err == nil {
			require.NoError(t, v.Release(t.Context(), proof))
		}
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// A handler's goroutine that outlives its request reads an error, never the
// bytes of another request.
func TestBodyAfterTheRequest(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	var kept io.Reader
	h := verifier(t, hmacsig.OpsMantik(), s).Wrap(http.HandlerFunc(
		func(_ http.ResponseWriter, r *http.Request) { kept = r.Body }))
	serve(h, signAt(t, hmacsig.OpsMantik(), s, time.Now(), "{}"))
	_, err := kept.Read(make([]byte, 1))
	require.ErrorIs(t, err, http.ErrBodyReadAfterClose)
}

func TestTransport(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	v := verifier(t, hmacsig.RFC9421(), s)
	tries := 0
	server := httptest.NewServer(v.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		if tries++; tries == 1 {
			http.Redirect(w, r, "/again", http.StatusTemporaryRedirect)
			return
		}
		_, _ = w.Write(content)
	})))
	defer server.Close()
	signer, err := hmacsig.NewSigner(hmacsig.SignerConfig{
		Scheme: hmacsig.RFC9421(), KeyID: site, Secret: s,
	})
	require.NoError(t, err)
	client := &http.Client{Transport: hmacsig.NewTransport(nil, signer)}
	r, err := http.NewRequest(http.MethodPost, server.URL+"/x?y=z", strings.NewReader("hello"))
	require.NoError(t, err)
	answer, err := client.Do(r)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, "hello", string(content), "the redirect was signed afresh")
	require.Empty(t, r.Header, "the caller's request is untouched")
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTransportKeepsGetBodyAndClosesTheBody(t *testing.T) {
	t.Parallel()
	signer, err := hmacsig.NewSigner(hmacsig.SignerConfig{
		Scheme: hmacsig.RFC9421(), KeyID: site, Secret: hmacsig.Generate(), MaxBodyBytes: 5,
	})
	require.NoError(t, err)
	var nonces []string
	rt := hmacsig.NewTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
		again, err := r.GetBody()
		require.NoError(t, err)
		content, err := io.ReadAll(again)
		require.NoError(t, err)
		require.Equal(t, "hello", string(content))
		nonces = append(nonces, r.Header.Get("Signature-Input"))
		return nil, errors.New("down")
	}), signer)
	body := &closing{Reader: strings.NewReader("hello")}
	r := httptest.NewRequest(http.MethodPost, "https://a.test/", nil)
	r.Body = body
	for range 2 {
		_, err = rt.RoundTrip(r)
		require.ErrorContains(t, err, "down")
		body.Reader = strings.NewReader("hello")
	}
	require.NotEqual(t, nonces[0], nonces[1], "a retry is signed afresh")
	require.Equal(t, 2, body.closed)
	body.Reader = strings.NewReader("too long")
	_, err = rt.RoundTrip(r)
	require.Error(t, err)
	require.Equal(t, 3, body.closed)
}

type closing struct {
	io.Reader
	closed int
}

func (c *closing) Close() error { c.closed++; return nil }
