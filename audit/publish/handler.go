package publish

import (
	"net/http"
	"os"
	"regexp"
	"strings"

	"github.com/opsmantik/sallyport/internal/problem"
)

// CodeNotPublished, 404: no such tile, bundle or checkpoint.
const CodeNotPublished = "audit_not_published"

// CodePublishingNotConfigured, 503: the [Publisher] was not made by [New].
const CodePublishingNotConfigured = "audit_publishing_not_configured"

// published is what tlog-tiles names, and nothing else that may lie in the directory.
var published = regexp.MustCompile(
	`^/(checkpoint|tile/([0-9]|[1-5][0-9]|6[0-3]|entries)/(x[0-9]{3}/)*[0-9]{3}` +
		`(\.p/([1-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?)$`)

// Handler serves checkpoint, tiles and entry bundles, read-only. Mount it with
// http.StripPrefix behind the gates that admit auditors: bundles hold the entries.
func (p *Publisher) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case p == nil || p.cfg.Store == nil:
			problem.New("", http.StatusServiceUnavailable, CodePublishingNotConfigured,
				"Publication not configured", nil).Write(w)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
		case !published.MatchString(r.URL.Path):
			notFound(w)
		default:
			p.serve(w, r)
		}
	})
}

func (p *Publisher) serve(w http.ResponseWriter, r *http.Request) {
	root, err := os.OpenRoot(p.files.dir)
	if err != nil {
		notFound(w)
		return
	}
	defer func() { _ = root.Close() }()
	file, err := root.Open(strings.TrimPrefix(r.URL.Path, "/"))
	if err != nil {
		notFound(w)
		return
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		notFound(w)
		return
	}
	// A checkpoint is replaced, the rest never changes.
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.URL.Path == "/checkpoint" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
	}
	http.ServeContent(w, r, "", info.ModTime(), file)
}

func notFound(w http.ResponseWriter) {
	problem.New("", http.StatusNotFound, CodeNotPublished, "Not published", nil).Write(w)
}
