package sessions_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
)

type profile struct{ Visits int }

// A sign-in, a page that counts visits, and a logout.
func Example() {
	store, err := sessions.NewMemory(sessions.MemoryConfig{})
	if err != nil {
		panic(err)
	}
	sess, err := sessions.New[profile](sessions.Config{Store: store})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		// ... after the password has been verified:
		login := sessions.Login{User: "ada", Level: sallyport.AAL1}
		if err := sess.Start(r.Context(), login, profile{}); err != nil {
			http.Error(w, "try again", http.StatusServiceUnavailable)
		}
	})
	mux.Handle("GET /", sess.Wrap(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			err := sess.Update(r.Context(), func(p *profile) error { p.Visits++; return nil })
			s, ok := sess.FromContext(r.Context())
			if err != nil || !ok {
				http.Error(w, "signed out meanwhile", http.StatusUnauthorized)
				return
			}
			_, _ = fmt.Fprintf(w, "%s, visit %d", s.User, s.Data.Visits)
		})))
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		if err := sess.Logout(r.Context()); err != nil {
			http.Error(w, "still signed in, try again", http.StatusServiceUnavailable)
		}
	})
	app := sess.Load(mux)

	cookie := ""
	for _, target := range []string{"GET /", "POST /login", "GET /", "POST /logout", "GET /"} {
		var method, path string
		_, _ = fmt.Sscan(target, &method, &path)
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("Cookie", cookie)
		w := httptest.NewRecorder()
		app.ServeHTTP(w, r)
		for _, c := range w.Result().Cookies() {
			cookie = c.Name + "=" + c.Value
		}
		if w.Code == http.StatusOK && method == http.MethodGet {
			fmt.Println(w.Code, w.Body)
			continue
		}
		fmt.Println(w.Code)
	}
	// Output:
	// 401
	// 200
	// 200 ada, visit 1
	// 200
	// 401
}

// Data read before an update is a snapshot. Computing from it inside Update
// throws away what another request stored in between: use the argument.
func ExampleManager_Update_incorrect() {
	store, _ := sessions.NewMemory(sessions.MemoryConfig{})
	sess, _ := sessions.New[profile](sessions.Config{Store: store})
	h := sess.Load(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		_ = sess.Start(ctx, sessions.Login{User: "ada", Level: sallyport.AAL1}, profile{})
		snapshot, _ := sess.Check(r)
		visit := func(ctx context.Context) {
			_ = sess.Update(ctx, func(p *profile) error {
				p.Visits = snapshot.Data.Visits + 1 // wrong: want p.Visits++
				return nil
			})
		}
		visit(ctx)
		visit(ctx)
		s, _ := sess.Check(r)
		fmt.Println("visits:", s.Data.Visits)
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	// Output: visits: 1
}
