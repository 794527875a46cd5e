package sessions_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opsmantik/sallyport/sessions"
)

// FuzzCookieHeader: no header makes the manager panic or find a session that it
// did not issue, and its idea of "how many cookies" is never below net/http's.
func FuzzCookieHeader(f *testing.F) {
	const name = sessions.DefaultCookie
	token := strings.Repeat("A", 44)
	for _, seed := range []string{
		"", name + "=" + token, name + "=" + token + "; " + name + "=x", name, name + "=",
		" ; ;=;" + name + `="` + token + `"`, "a=b;\t" + name + "\t=" + token, "=" + token,
	} {
		f.Add(seed)
	}
	m := newManager(f, nil)
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Cookie"] = []string{header}
		_, err := m.Check(r)
		got := reason(err)
		if got == "" {
			t.Fatalf("Check(%q): got a session from an empty store", header)
		}
		valid := 0
		for _, c := range r.Cookies() {
			if c.Name == name {
				valid++
			}
		}
		if valid > 1 && got != sessions.CodeDuplicate {
			t.Fatalf("Check(%q): got %s, want a duplicate", header, got)
		}
		if valid == 1 && got == sessions.CodeRequired {
			t.Fatalf("Check(%q): missed the cookie", header)
		}
	})
}
