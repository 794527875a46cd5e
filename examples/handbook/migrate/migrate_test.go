package migrate_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/handbook/migrate"
)

// TestWhatChanges is the table of the page: what each of the two answers.
func TestWhatChanges(t *testing.T) {
	t.Parallel()
	after, err := migrate.After()
	require.NoError(t, err)
	before := migrate.Before([]byte("0123456789abcdef0123456789abcdef"))
	request := func(method, path, origin string) *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), method, "https://api.example.com"+path, http.NoBody)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		return r
	}
	const app, evil = "https://app.example.com", "https://evil.example"
	rows := []struct {
		name             string
		method, path     string
		origin           string
		wantOld, wantNew int
	}{
		{"nobody", "GET", "/me", app, 401, 401},
		{"another site's page reads", "GET", "/me", evil, 401, 403}, // the old handler runs
		{"another site's page posts", "POST", "/login", evil, 403, 403},
		{"the listed page posts", "POST", "/login", app, 403, 200}, // csrf wants a token of its own
		{"a program posts", "POST", "/login", "", 403, 403},
	}
	for _, row := range rows {
		for i, handler := range []http.Handler{before, after} {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, request(row.method, row.path, row.origin))
			require.Equal(t, []int{row.wantOld, row.wantNew}[i], w.Code, "%s: %s", row.name, w.Body)
		}
	}
}
