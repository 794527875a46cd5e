package response_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/response"
)

// answer is what a client got, and with which statuses the function ran.
type answer struct {
	*http.Response
	body     string
	statuses []int
	interim  []int
}

// serve runs handler behind the wrapper on a real server and asks it once. The
// function sets the header Before.
func serve(t *testing.T, http2 bool, handler http.HandlerFunc) answer {
	t.Helper()
	var got answer
	server := httptest.NewUnstartedServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			wrapped := response.New(w, func(status int) {
				got.statuses = append(got.statuses, status)
				w.Header().Set("Before", "ran")
			})
			handler(wrapped, r)
			wrapped.Commit(http.StatusOK)
			if !wrapped.Committed() {
				t.Error("not committed after Commit")
			}
		}))
	server.EnableHTTP2 = http2
	if http2 {
		server.StartTLS()
	} else {
		server.Start()
	}
	defer server.Close()

	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			got.interim = append(got.interim, code)
			if header.Get("Before") != "" {
				t.Error("the function ran before an informational response")
			}
			return nil
		},
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	got.Response, err = server.Client().Do(req)
	require.NoError(t, err)
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	require.NoError(t, err)
	got.body = string(body)
	server.Close() // the handler has returned
	return got
}

func TestEveryPathCommitsOnce(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 100_000)
	rows := []struct {
		name    string
		handler http.HandlerFunc
		status  int
		body    string
	}{
		{"nothing", func(http.ResponseWriter, *http.Request) {}, 200, ""},
		{"WriteHeader", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
		}, 418, ""},
		{"WriteHeader 200", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusOK)
		}, 200, ""},
		{"Write", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("a"))
			_, _ = w.Write([]byte("b"))
		}, 200, "ab"},
		{"empty Write", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(nil)
			w.WriteHeader(http.StatusTeapot) // too late, as without the wrapper
		}, 200, ""},
		{"WriteString", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "a")
		}, 200, "a"},
		{"WriteHeader, Write", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte("made"))
		}, 201, "made"},
		{"WriteHeader twice", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			w.WriteHeader(http.StatusTeapot)
		}, 202, ""},
		{"Flusher", func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			_, _ = w.Write([]byte("late"))
		}, 200, "late"},
		{"ResponseController.Flush", func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		}, 200, ""},
		{"small copy", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, io.LimitReader(strings.NewReader("small"), 9))
		}, 200, "small"},
		{"large copy", func(w http.ResponseWriter, _ *http.Request) {
			src := io.LimitReader(strings.NewReader(large), int64(len(large)))
			if n, err := io.Copy(w, src); err != nil || n != int64(len(large)) {
				t.Errorf("Copy = %d, %v", n, err)
			}
		}, 200, large},
		{"copy after WriteHeader", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.Copy(w, io.LimitReader(strings.NewReader("part"), 9))
		}, 206, "part"},
		{"empty copy leaves the status", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, iotest.ErrReader(io.EOF))
			w.WriteHeader(http.StatusNoContent)
		}, 204, ""},
		{"failing copy leaves the status", func(w http.ResponseWriter, _ *http.Request) {
			if _, err := io.Copy(w, iotest.ErrReader(errors.New("disk"))); err == nil {
				t.Error("the source's error is lost")
			}
			w.WriteHeader(http.StatusInternalServerError)
		}, 500, ""},
	}
	for _, row := range rows {
		for proto, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
			t.Run(row.name+" "+proto, func(t *testing.T) {
				t.Parallel()
				got := serve(t, http2, row.handler)
				require.Equal(t, proto, got.Proto)
				require.Equal(t, row.status, got.StatusCode)
				require.Equal(t, []int{row.status}, got.statuses, "the function runs once")
				require.Equal(t, "ran", got.Header.Get("Before"), "in time for the header")
				require.Equal(t, row.body, got.body)
			})
		}
	}
}

func TestInformationalPassesThrough(t *testing.T) {
	t.Parallel()
	got := serve(t, false, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusProcessing)
		w.WriteHeader(http.StatusEarlyHints)
		if w.(*response.Writer).Committed() {
			t.Error("committed by an informational response")
		}
		w.WriteHeader(http.StatusNotFound)
	})
	require.Equal(t, []int{102, 103}, got.interim)
	require.Equal(t, http.StatusNotFound, got.StatusCode)
	require.Equal(t, []int{http.StatusNotFound}, got.statuses)
}

func TestSwitchingProtocolsIsFinal(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	var statuses []int
	w := response.New(rec, func(status int) { statuses = append(statuses, status) })
	w.WriteHeader(http.StatusSwitchingProtocols)
	w.Commit(http.StatusOK)
	require.Equal(t, []int{http.StatusSwitchingProtocols}, statuses)
}

func TestHijack(t *testing.T) {
	t.Parallel()
	got := serve(t, false, func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		// A hijacker sends the header itself, what the function set included.
		_, _ = rw.WriteString("HTTP/1.1 202 Accepted\r\nContent-Length: 4\r\nBefore: " +
			w.Header().Get("Before") + "\r\n\r\nmine")
		_ = rw.Flush()
	})
	require.Equal(t, "mine", got.body)
	require.Equal(t, "ran", got.Header.Get("Before"))
	require.Equal(t, []int{http.StatusSwitchingProtocols}, got.statuses)
}

// TestHijackRefused: over HTTP/2 the handler falls back to an error response,
// whose status the function must learn.
func TestHijackRefused(t *testing.T) {
	t.Parallel()
	got := serve(t, true, func(w http.ResponseWriter, _ *http.Request) {
		_, _, err := http.NewResponseController(w).Hijack()
		if !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Hijack over HTTP/2: %v", err)
		}
		http.Error(w, "no", http.StatusInternalServerError)
	})
	require.Equal(t, http.StatusInternalServerError, got.StatusCode)
	require.Equal(t, []int{http.StatusInternalServerError}, got.statuses)
	require.Equal(t, "ran", got.Header.Get("Before"))
}

// plain has none of the optional methods.
type plain struct{ http.ResponseWriter }

// opaque can only be unwrapped.
type opaque struct{ http.ResponseWriter }

func (o opaque) Unwrap() http.ResponseWriter { return o.ResponseWriter }

func TestFlushRefused(t *testing.T) {
	t.Parallel()
	var statuses []int
	before := func(status int) { statuses = append(statuses, status) }
	rec := httptest.NewRecorder()
	inner := response.New(plain{rec}, before)
	outer := response.New(inner, before)
	require.ErrorIs(t, outer.FlushError(), http.ErrNotSupported)
	require.Empty(t, statuses, "nothing was sent")
	require.False(t, rec.Flushed)

	outer.WriteHeader(http.StatusConflict)
	require.Equal(t, []int{http.StatusConflict, http.StatusConflict}, statuses)
	require.Equal(t, http.StatusConflict, rec.Code)
}

func TestFlushThroughUnwrap(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	runs := 0
	w := response.New(opaque{rec}, func(int) { runs++ })
	require.NoError(t, w.FlushError())
	require.True(t, rec.Flushed)
	require.Equal(t, 1, runs)
}

func TestNestedWrappersRunOutermostFirst(t *testing.T) {
	t.Parallel()
	var order []string
	rec := httptest.NewRecorder()
	inner := response.New(rec, func(int) { order = append(order, "inner") })
	outer := response.New(inner, func(int) { order = append(order, "outer") })
	_, err := outer.WriteString("body")
	require.NoError(t, err)
	require.Equal(t, []string{"outer", "inner"}, order)
	require.Equal(t, "body", rec.Body.String())
}

func TestResponseControllerReachesTheServer(t *testing.T) {
	t.Parallel()
	got := serve(t, false, func(w http.ResponseWriter, _ *http.Request) {
		c := http.NewResponseController(w)
		deadline := time.Now().Add(time.Minute)
		for name, err := range map[string]error{
			"read deadline":  c.SetReadDeadline(deadline),
			"write deadline": c.SetWriteDeadline(deadline),
			"full duplex":    c.EnableFullDuplex(),
		} {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if w.(*response.Writer).Committed() {
			t.Error("committed by a deadline")
		}
		w.WriteHeader(http.StatusGone)
	})
	require.Equal(t, []int{http.StatusGone}, got.statuses)
}

// fast records what reaches the wrapped writer's ReadFrom.
type fast struct {
	*httptest.ResponseRecorder
	src io.Reader
}

func (f *fast) ReadFrom(src io.Reader) (int64, error) {
	f.src = src
	return io.Copy(f.ResponseRecorder, src)
}

// TestFastPathIsKept: net/http uses sendfile only if it sees the file itself.
func TestFastPathIsKept(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("0123456789", 1000)
	path := filepath.Join(t.TempDir(), "large")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()

	f := &fast{ResponseRecorder: httptest.NewRecorder()}
	w := response.New(f, func(int) {})
	n, err := w.ReadFrom(io.LimitReader(file, 1<<20))
	require.NoError(t, err)
	require.EqualValues(t, len(content), n)
	require.Equal(t, content, f.Body.String())
	limited, ok := f.src.(*io.LimitedReader)
	require.True(t, ok, "%T", f.src)
	require.Same(t, file, limited.R)
}

func TestServeContent(t *testing.T) {
	t.Parallel()
	got := serve(t, false, func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "a.txt", time.Time{}, strings.NewReader("content"))
	})
	require.Equal(t, "content", got.body)
	require.EqualValues(t, len("content"), got.ContentLength)
	require.Equal(t, []int{http.StatusOK}, got.statuses)
}

// TestUpgradeByHand switches protocols with WriteHeader and Hijack, as a
// websocket library may.
func TestUpgradeByHand(t *testing.T) {
	t.Parallel()
	var statuses []int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		wrapped := response.New(w, func(status int) {
			statuses = append(statuses, status)
			w.Header().Set("Before", "ran")
		})
		wrapped.Header().Set("Connection", "Upgrade")
		wrapped.Header().Set("Upgrade", "echo")
		wrapped.WriteHeader(http.StatusSwitchingProtocols)
		conn, rw, err := wrapped.Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		line, err := rw.ReadString('\n')
		if err == nil {
			_, err = rw.WriteString(line)
		}
		if err == nil {
			err = rw.Flush()
		}
		if err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	res, err := server.Client().Do(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
	require.Equal(t, "ran", res.Header.Get("Before"))
	conn, ok := res.Body.(io.ReadWriteCloser)
	require.True(t, ok)
	_, err = io.WriteString(conn, "hello\n")
	require.NoError(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "hello\n", line)
	require.NoError(t, conn.Close())
	server.Close()
	require.Equal(t, []int{http.StatusSwitchingProtocols}, statuses)
}

// whole is a value that has its writer inside.
type whole struct {
	response.Writer
	statuses []int
}

func (w *whole) BeforeHeader(status int) { w.statuses = append(w.statuses, status) }

func TestInitWrapsInPlace(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	var w whole
	w.Init(rec, &w)
	w.WriteHeader(http.StatusTeapot)
	w.WriteHeader(http.StatusOK)
	require.Equal(t, []int{http.StatusTeapot}, w.statuses)
	require.True(t, w.Committed())
	require.Equal(t, http.StatusTeapot, rec.Code)
}

// gone is a client that has hung up.
type gone struct{ http.ResponseWriter }

func (gone) Write([]byte) (int, error)       { return 0, io.ErrClosedPipe }
func (gone) WriteString(string) (int, error) { return 0, io.ErrClosedPipe }
func (gone) FlushError() error               { return io.ErrClosedPipe }

// Failed tells of every path on which an answer did not reach the client.
func TestFailed(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(*response.Writer){
		"Write":       func(w *response.Writer) { _, _ = w.Write([]byte("x")) },
		"WriteString": func(w *response.Writer) { _, _ = w.WriteString("x") },
		"Flush":       func(w *response.Writer) { w.Flush() },
		"io.Copy":     func(w *response.Writer) { _, _ = io.Copy(w, strings.NewReader("x")) },
		"io.Copy, later": func(w *response.Writer) {
			w.Commit(http.StatusOK)
			_, _ = w.ReadFrom(strings.NewReader(strings.Repeat("x", 4096)))
		},
	} {
		for _, there := range []bool{true, false} {
			var rw http.ResponseWriter = httptest.NewRecorder()
			if !there {
				rw = gone{rw}
			}
			w := response.New(rw, func(int) {})
			require.False(t, w.Failed(), name)
			write(w)
			require.Equal(t, !there, w.Failed(), name)
		}
	}
	w := response.New(struct{ http.ResponseWriter }{httptest.NewRecorder()}, func(int) {})
	require.Error(t, w.FlushError())
	require.False(t, w.Failed(), "nothing was to be sent")
}
