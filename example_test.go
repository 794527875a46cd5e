package sallyport_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/opsmantik/sallyport"
)

// A gate of your own refuses as the others do.
func Example() {
	maintenance := func(next http.Handler, closed bool) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !closed {
				next.ServeHTTP(w, r)
				return
			}
			refused := &sallyport.Refusal{
				Gate: "maintenance", Code: "under_maintenance", Status: http.StatusServiceUnavailable,
				Title: "Back soon", TypeBase: "https://example.com/problems#",
				RetryAfter: time.Minute,
			}
			refused.Write(w)
		})
	}

	rec := httptest.NewRecorder()
	handler := maintenance(http.NotFoundHandler(), true)
	handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(rec.Code, rec.Header().Get("Retry-After"))
	fmt.Print(rec.Body)
	// Output:
	// 503 60
	// {"code":"under_maintenance","status":503,"title":"Back soon","type":"https://example.com/problems#under_maintenance"}
}

// The cause of a refusal is for operators. What a client may see is in the code.
func ExampleRefusal_incorrect() {
	refused := &sallyport.Refusal{
		Gate: "maintenance", Code: "under_maintenance", Status: http.StatusServiceUnavailable,
		Title: "Back soon", Err: errors.New("dial tcp 10.0.0.7:6379: connection refused"),
	}

	rec := httptest.NewRecorder()
	http.Error(rec, refused.Error(), refused.Status) // tells everybody about 10.0.0.7
	fmt.Print(rec.Body)
	// Output: maintenance: under_maintenance: dial tcp 10.0.0.7:6379: connection refused
}
