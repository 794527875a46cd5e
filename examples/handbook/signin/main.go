// Command signin signs people in by password: guesses are slowed down and banned
// before the password is hashed, and the session is new after it.
package main

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
	"github.com/opsmantik/sallyport/ratelimit/loginguard"
	"github.com/opsmantik/sallyport/sessions"
)

type user struct{ Email string }

type server struct {
	guard  *loginguard.Guard
	people *sessions.Manager[user]
	hashes map[string][]byte // bcrypt, by lower-case e-mail address
	decoy  []byte            // hashed for accounts that do not exist: their answer takes as long
}

// login answers POST /login with a form of email and password.
func (s *server) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	email := strings.ToLower(strings.TrimSpace(r.PostFormValue("email")))
	addr, _ := clientaddr.FromContext(r.Context())

	attempt, err := s.guard.Begin(r.Context(), loginguard.Login{Addr: addr, Account: email, Request: r})
	if !s.guard.Answer(w, r, err) {
		return // 429, and when to come back
	}
	defer attempt.Release()
	if attempt.Wait(r.Context()) != nil {
		return // the client has left
	}
	hash, known := s.hashes[email]
	if !known {
		hash = s.decoy
	}
	right := bcrypt.CompareHashAndPassword(hash, []byte(r.PostFormValue("password"))) == nil
	if !right || !known {
		attempt.Fail(r.Context())
		http.Error(w, "e-mail address or password is wrong", http.StatusUnauthorized)
		return
	}
	if err := attempt.Succeed(r.Context()); err != nil {
		log.Print(err) // some failures were not forgotten
	}
	login := sessions.Login{User: email, Level: sallyport.AAL1}
	if err := s.people.Start(r.Context(), login, user{Email: email}); err != nil {
		http.Error(w, "try again later", http.StatusServiceUnavailable)
	}
}

// logout answers POST /logout. The session ends in the store, not only in the browser.
func (s *server) logout(w http.ResponseWriter, r *http.Request) {
	if err := s.people.Logout(r.Context()); err != nil {
		http.Error(w, "try again later", http.StatusServiceUnavailable)
	}
}

func (s *server) me(w http.ResponseWriter, r *http.Request) {
	session, _ := s.people.FromContext(r.Context())
	_, _ = fmt.Fprintln(w, session.Data.Email)
}

func newHandler(hashes map[string][]byte, cost int) (http.Handler, error) {
	address, err1 := clientaddr.New(clientaddr.Config{})
	guard, err2 := loginguard.New(loginguard.Config{})
	store, err3 := sessions.NewMemory(sessions.MemoryConfig{MaxSessions: 100_000})
	people, err4 := sessions.New[user](sessions.Config{Store: store})
	decoy, err5 := bcrypt.GenerateFromPassword([]byte("nobody's"), cost)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	s := &server{guard: guard, people: people, hashes: hashes, decoy: decoy}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", s.login)
	mux.Handle("POST /logout", people.Wrap(http.HandlerFunc(s.logout)))
	mux.Handle("GET /me", people.Wrap(http.HandlerFunc(s.me)))
	// No other site's page may post here. With pages of other origins, cors does it.
	return http.NewCrossOriginProtection().Handler(address.Wrap(people.Load(mux))), nil
}

func main() {
	ada, err := bcrypt.GenerateFromPassword([]byte("correct horse"), bcrypt.DefaultCost)
	if err != nil {
		log.Fatal(err)
	}
	handler, err := newHandler(map[string][]byte{"ada@example.com": ada}, bcrypt.DefaultCost)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
