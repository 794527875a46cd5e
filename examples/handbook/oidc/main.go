// Command oidc signs people in at an identity provider, and keeps them signed in with
// sessions.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/sessions"
)

type user struct{ Email string }

// pending is what the browser keeps between the two halves of a sign-in.
type pending struct{ State, Nonce, Verifier string }

type server struct {
	provider *oidc.Provider
	client   oauth2.Config
	people   *sessions.Manager[user]
}

// A sign-in begins and ends in the same browser: this cookie is what shows it. It is
// Lax, because the provider's redirect comes from another site.
const startedCookie = "__Host-oidc"

// login answers GET /login: off to the provider.
func (s *server) login(w http.ResponseWriter, r *http.Request) {
	p := pending{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier()}
	http.SetCookie(w, &http.Cookie{
		Name: startedCookie, Value: p.State + "." + p.Nonce + "." + p.Verifier, Path: "/", MaxAge: 600,
		HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode,
	})
	http.Redirect(w, r, s.client.AuthCodeURL(p.State, oidc.Nonce(p.Nonce),
		oauth2.S256ChallengeOption(p.Verifier)), http.StatusSeeOther)
}

// callback answers GET /callback: back from the provider.
func (s *server) callback(w http.ResponseWriter, r *http.Request) {
	p, err := started(r)
	if err != nil || !hmacsig.Equal(r.FormValue("state"), p.State) {
		http.Error(w, "this sign-in did not begin in this browser", http.StatusBadRequest)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: startedCookie, Path: "/", MaxAge: -1, HttpOnly: true, Secure: true})
	subject, email, err := s.redeem(r.Context(), r.FormValue("code"), p)
	if err != nil {
		log.Print(err)
		http.Error(w, "the provider's answer is not good", http.StatusBadGateway)
		return
	}
	// The subject is who it is; an e-mail address can change hands.
	login := sessions.Login{User: subject, Level: sallyport.AAL1}
	if err := s.people.Start(r.Context(), login, user{Email: email}); err != nil {
		http.Error(w, "try again later", http.StatusServiceUnavailable)
		return
	}
	// The session cookie is Strict: a redirect from here still counts as coming from the
	// provider's site and would arrive without it. A page of our own does not.
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, `<!doctype html><meta http-equiv="refresh" content="0;url=/me"><a href="/me">Go on</a>`)
}

// redeem turns the code into who has signed in.
func (s *server) redeem(ctx context.Context, code string, p pending) (subject, email string, err error) {
	token, err := s.client.Exchange(ctx, code, oauth2.VerifierOption(p.Verifier))
	if err != nil {
		return "", "", err
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := s.provider.Verifier(&oidc.Config{ClientID: s.client.ClientID}).Verify(ctx, raw)
	if err != nil {
		return "", "", err
	}
	if !hmacsig.Equal(id.Nonce, p.Nonce) {
		return "", "", errors.New("the token was made for another sign-in")
	}
	var claims struct {
		Email string `json:"email"`
	}
	err = id.Claims(&claims)
	return id.Issuer + "|" + id.Subject, claims.Email, err
}

// started reads what login left in the browser.
func started(r *http.Request) (p pending, err error) {
	cookie, err := r.Cookie(startedCookie)
	if err != nil {
		return pending{}, err
	}
	parts := strings.Split(cookie.Value, ".")
	if len(parts) != 3 {
		return pending{}, errors.New("malformed cookie")
	}
	return pending{State: parts[0], Nonce: parts[1], Verifier: parts[2]}, nil
}

func (s *server) me(w http.ResponseWriter, r *http.Request) {
	session, _ := s.people.FromContext(r.Context())
	_, _ = fmt.Fprintln(w, session.Data.Email)
}

// newHandler asks the provider at start: without it there is no server.
func newHandler(ctx context.Context, issuer string, client oauth2.Config) (http.Handler, error) {
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return nil, err
	}
	client.Endpoint, client.Scopes = provider.Endpoint(), []string{oidc.ScopeOpenID, "email"}
	store, err := sessions.NewMemory(sessions.MemoryConfig{MaxSessions: 100_000})
	if err != nil {
		return nil, err
	}
	people, err := sessions.New[user](sessions.Config{Store: store})
	if err != nil {
		return nil, err
	}
	s := &server{provider: provider, client: client, people: people}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", s.login)
	mux.HandleFunc("GET /callback", s.callback)
	mux.Handle("GET /me", people.Wrap(http.HandlerFunc(s.me)))
	return http.NewCrossOriginProtection().Handler(people.Load(mux)), nil
}

func main() {
	handler, err := newHandler(context.Background(), os.Getenv("OIDC_ISSUER"), oauth2.Config{
		ClientID: os.Getenv("OIDC_CLIENT_ID"), ClientSecret: os.Getenv("OIDC_CLIENT_SECRET"),
		RedirectURL: "https://app.example.com/callback",
	})
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
