package gates

import (
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
)

// Harden is the outermost layer: headers that no answer should lack, and the
// end of every panic. The stack goes to the log, nothing to the client.
func Harden(s *settings.Settings, log *slog.Logger, next http.Handler) http.Handler {
	// Of its own, or of the proxies in front: visitors come by TLS.
	tls := s.TLSCertFile != "" || len(s.TrustedProxies) > 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		// One allocation for the three, instead of one each.
		values := [...]string{"nosniff", "default-src 'none'; frame-ancestors 'none'", "no-referrer"}
		h["X-Content-Type-Options"] = values[0:1:1]
		h["Content-Security-Policy"] = values[1:2:2]
		h["Referrer-Policy"] = values[2:3:3]
		if tls {
			h.Set("Strict-Transport-Security", "max-age=63072000")
		}
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if cause == http.ErrAbortHandler {
				panic(cause)
			}
			log.ErrorContext(r.Context(), "panic", "cause", cause, "stack", string(debug.Stack()))
			reply.Problem(w, http.StatusInternalServerError, reply.CodeInternalError, "Something went wrong")
		}()
		next.ServeHTTP(w, r)
	})
}
