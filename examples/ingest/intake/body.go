package intake

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"

	"github.com/opsmantik/sallyport/examples/ingest/reply"
)

// body reads a body, bounded as it comes and as it is once it is decompressed.
func body(w http.ResponseWriter, r *http.Request, limit int64, gzipped bool) ([]byte, bool) {
	encoding := r.Header.Values("Content-Encoding")
	compressed := gzipped && len(encoding) == 1 && encoding[0] == "gzip"
	if len(encoding) > 0 && !compressed && !(len(encoding) == 1 && encoding[0] == "identity") {
		reply.Problem(w, http.StatusUnsupportedMediaType, codeEncoding, "The encoding is not supported")
		return nil, false
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		reply.BodyError(w, err)
		return nil, false
	}
	if compressed {
		text, err = gunzip(text, limit)
	}
	if errors.Is(err, errTooLarge) {
		reply.TooLarge(w)
		return nil, false
	}
	if err != nil {
		reply.Problem(w, http.StatusBadRequest, codeGzip, "The body is not gzip")
		return nil, false
	}
	return text, true
}

const (
	// codeEncoding: 415. A Content-Encoding that the route does not take.
	codeEncoding = "encoding_unsupported"
	// codeGzip: 400. The body is not the gzip that it is said to be.
	codeGzip = "gzip_invalid"
)

var errTooLarge = errors.New("intake: too large once decompressed")

func gunzip(compressed []byte, limit int64) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(reader, limit+1))
	if err == nil && int64(len(text)) > limit {
		return nil, errTooLarge
	}
	return text, err
}
