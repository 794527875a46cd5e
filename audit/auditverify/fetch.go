package main

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// maxFile is more than the largest entry bundle: 256 entries of 65,535 bytes.
const maxFile = 256*(1<<16) + 1

// fetcher reads files below a directory or a URL.
func fetcher(place string) func(path string) ([]byte, error) {
	if !strings.HasPrefix(place, "http://") && !strings.HasPrefix(place, "https://") {
		return func(path string) ([]byte, error) {
			// #nosec G304 -- the auditor's own choice
			return os.ReadFile(filepath.Join(place, filepath.FromSlash(path)))
		}
	}
	client := &http.Client{Timeout: time.Minute}
	return func(path string) ([]byte, error) {
		response, err := client.Get(strings.TrimSuffix(place, "/") + "/" + path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = response.Body.Close() }()
		switch response.StatusCode {
		case http.StatusOK:
			return io.ReadAll(io.LimitReader(response.Body, maxFile))
		case http.StatusNotFound:
			return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
		}
		return nil, fmt.Errorf("%s: status %d", path, response.StatusCode)
	}
}

// bar shows how far it is, at most ten times a second.
type bar struct {
	w     io.Writer
	total int64
	last  time.Time
}

func (v *verifier) bar(total int64) *bar {
	if !v.progress {
		return &bar{}
	}
	return &bar{w: v.stderr, total: total}
}

func (b *bar) show(n int64) {
	if b.w == nil || time.Since(b.last) < 100*time.Millisecond {
		return
	}
	b.last = time.Now()
	if b.total == 0 {
		_, _ = fmt.Fprintf(b.w, "\r%d entries", n)
		return
	}
	const width = 40
	full := int(min(n, b.total) * width / b.total)
	_, _ = fmt.Fprintf(b.w, "\r[%s%s] %d of %d entries", strings.Repeat("#", full),
		strings.Repeat(".", width-full), n, b.total)
}

func (b *bar) done() {
	if b.w != nil {
		_, _ = fmt.Fprintln(b.w)
	}
}
