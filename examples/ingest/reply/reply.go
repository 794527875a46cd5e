// Package reply writes the server's own answers: JSON, and problem details
// (RFC 9457) with the codes of the wire contract.
package reply

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
)

// retryAfter is what clients are told, in seconds, when a part is unavailable.
const retryAfter = 5

// JSON writes v with the given status.
func JSON(w http.ResponseWriter, status int, v any) {
	write(w, status, "application/json", v)
}

// Problem writes a refusal. Code and title are ours, never the client's words.
func Problem(w http.ResponseWriter, status int, code, title string) {
	write(w, status, "application/problem+json", map[string]any{
		"type":   "https://github.com/opsmantik/sallyport/blob/main/docs/problems.md#" + code,
		"title":  title,
		"status": status,
		"code":   code,
	})
}

// Unavailable writes 503 with Retry-After.
func Unavailable(w http.ResponseWriter, code, title string) {
	w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	Problem(w, http.StatusServiceUnavailable, code, title)
}

// Overloaded writes 503 with the Retry-After that a backlog needs.
func Overloaded(w http.ResponseWriter, after time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second)))
	Problem(w, http.StatusServiceUnavailable, CodeQueueBacklog,
		"Too many events wait to be stored; send them again")
}

// BodyError answers a body that could not be read: too large, or cut short.
func BodyError(w http.ResponseWriter, err error) {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		TooLarge(w)
		return
	}
	Incomplete(w)
}

// TooLarge writes 413.
func TooLarge(w http.ResponseWriter) {
	Problem(w, http.StatusRequestEntityTooLarge, CodeBodyTooLarge, "The body is too large")
}

// Incomplete writes 400 for a body that ended early.
func Incomplete(w http.ResponseWriter) {
	Problem(w, http.StatusBadRequest, CodeBodyIncomplete, "The body could not be read")
}

func write(w http.ResponseWriter, status int, contentType string, v any) {
	body, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
