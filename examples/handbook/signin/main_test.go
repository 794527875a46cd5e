package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
)

func TestSignIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // the guard's delays pass at once
		ada, err := bcrypt.GenerateFromPassword([]byte("correct horse"), bcrypt.MinCost)
		require.NoError(t, err)
		handler, err := newHandler(map[string][]byte{"ada@example.com": ada}, bcrypt.MinCost)
		require.NoError(t, err)
		answer := func(method, path, form string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(form))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			for _, c := range cookies {
				r.AddCookie(c)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			return w
		}
		form := func(email, password string) string {
			return url.Values{"email": {email}, "password": {password}}.Encode()
		}
		require.Equal(t, 401, answer("POST", "/login", form("eve@example.com", "guess")).Code)
		signIn := answer("POST", "/login", form("Ada@example.com", "correct horse"))
		require.Equal(t, 200, signIn.Code)
		cookies := signIn.Result().Cookies()
		require.Equal(t, "ada@example.com\n", answer("GET", "/me", "", cookies...).Body.String())
		require.Equal(t, 200, answer("POST", "/logout", "", cookies...).Code)
		require.Equal(t, 401, answer("GET", "/me", "", cookies...).Code, "a kept cookie")

		for range 5 {
			require.Equal(t, 401, answer("POST", "/login", form("ada@example.com", "guess")).Code)
		}
		require.Equal(t, 429, answer("POST", "/login", form("ada@example.com", "correct horse")).Code)
	})
}
