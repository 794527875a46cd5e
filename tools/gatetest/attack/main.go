// Command attack tries the attacks of package gatetest on a server that runs on this
// machine:
//
//	go run github.com/opsmantik/sallyport/tools/gatetest/attack routes.json
//
// The file says what is true of the server's routes, as a Suite does:
//
//	{
//	  "target": "http://127.0.0.1:8080",
//	  "own": "https://api.example.com", "listed": "https://app.example.com",
//	  "users": [{"Cookie": "__Host-Http-session=..."}, {"Authorization": "Bearer ..."}],
//	  "routes": [
//	    {"pattern": "GET /healthz", "public": true, "accept": {"cors": "says nothing"}},
//	    {"pattern": "GET /orders/{id}", "request": "GET /orders/alices", "other": "/orders/bobs"}
//	  ]
//	}
//
// Users are the headers of two people who are signed in; the second may be left out. A
// target anywhere but on loopback is refused. Routes that are not in the file are not
// tried and not found: only a test of your own can ask the router for them.
//
// The server is not a fresh one for each attack, as in a test. What an attack uses up or
// changes is so for the next: start it with high limits and with data that may be lost.
//
// Exit code: 0 without a finding, 1 with one, 2 when it could not run.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"testing"

	"github.com/opsmantik/sallyport/tools/gatetest"
)

// description is the file.
type description struct {
	Target, Own, Listed string
	Users               []map[string]string
	Routes              []route
}

type route struct {
	Pattern, Request, Body, Other string
	Header                        http.Header
	Status                        []int
	Public, Browser               bool
	Limit                         int
	MaxBody                       int `json:"max_body"`
	Accept                        gatetest.Accepted
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) != 1 {
		_, _ = fmt.Fprintln(stderr, "usage: attack routes.json")
		return 2
	}
	text, err := os.ReadFile(args[0]) // #nosec G304,G703 -- the caller names the file
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "attack:", err)
		return 2
	}
	suite, err := parse(text)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "attack: %s: %v\n", args[0], err)
		return 2
	}
	findings, err := check(suite, stderr)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "attack:", err)
		return 2
	}
	for _, f := range findings {
		_, _ = fmt.Fprintln(stdout, f)
	}
	_, _ = fmt.Fprintf(stdout, "%d routes, %d findings\n", len(suite.Routes), len(findings))
	return min(len(findings), 1)
}

// parse makes the suite of a description.
func parse(text []byte) (gatetest.Suite, error) {
	var d description
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return gatetest.Suite{}, err
	}
	target, err := loopback(d.Target)
	if err != nil {
		return gatetest.Suite{}, err
	}
	if len(d.Users) > 2 {
		return gatetest.Suite{}, errors.New("users: want two at most")
	}
	suite := gatetest.Suite{
		New:    func(testing.TB, io.Writer) http.Handler { return forward(target) },
		Listed: d.Listed, Own: d.Own, Loopback: true,
	}
	for i, headers := range d.Users {
		suite.SignIn[i] = signedIn(headers)
	}
	for _, r := range d.Routes {
		suite.Served = append(suite.Served, r.Pattern)
		suite.Routes = append(suite.Routes, gatetest.Route{
			Pattern: r.Pattern, Request: r.Request, Header: r.Header, Body: r.Body, Status: r.Status,
			Public: r.Public, Browser: r.Browser, Other: r.Other, Limit: r.Limit, MaxBody: r.MaxBody,
			Accept: r.Accept,
		})
	}
	return suite, nil
}

// loopback returns the target, if it is on this machine beyond doubt: by its address, and
// not by a name that somebody else may resolve.
func loopback(text string) (*url.URL, error) {
	target, err := url.Parse(text)
	if err != nil || target.Scheme != "http" && target.Scheme != "https" {
		return nil, errors.New("target: want a URL such as http://127.0.0.1:8080")
	}
	addr, err := netip.ParseAddr(target.Hostname())
	if err != nil || !addr.IsLoopback() {
		return nil, errors.New("target: want an address of this machine, such as 127.0.0.1: nobody else's server is attacked")
	}
	return target, nil
}

// forward passes requests on as they are, forged forwarding headers and Host included.
func forward(target *url.URL) http.Handler {
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
			if values, ok := r.In.Header[name]; ok {
				r.Out.Header[name] = values
			}
		}
	}}
}

func signedIn(headers map[string]string) gatetest.SignIn {
	return func(testing.TB, http.Handler) func(*http.Request) {
		return func(r *http.Request) {
			for name, value := range headers {
				r.Header.Set(name, value)
			}
		}
	}
}

// check runs the suite outside of go test.
func check(suite gatetest.Suite, log io.Writer) (found []gatetest.Finding, err error) {
	defer func() {
		if stop, ok := recover().(stopped); ok {
			err = errors.New(string(stop))
		}
	}()
	return gatetest.Check(console{log: log}, suite), nil
}

// console is what the kit needs of a test.
type console struct {
	testing.TB
	log io.Writer
}

// stopped ends the run: the suite itself is wrong.
type stopped string

func (console) Helper()          {}
func (console) Cleanup(f func()) {}
func (console) Name() string     { return "attack" }
func (console) Failed() bool     { return false }

func (c console) Logf(format string, args ...any) { _, _ = fmt.Fprintf(c.log, format+"\n", args...) }

func (c console) Fatalf(format string, args ...any) { panic(stopped(fmt.Sprintf(format, args...))) }

func (c console) Fatal(args ...any) { panic(stopped(fmt.Sprint(args...))) }
