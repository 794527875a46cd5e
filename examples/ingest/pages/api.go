package pages

import (
	"bytes"
	"io"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"

	"github.com/opsmantik/sallyport/tenancy"

	"github.com/opsmantik/sallyport/examples/ingest/reply"
)

// answer is what the API has said. It is a ResponseWriter while it is being said.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

// Header is part of http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader is part of http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
}

// Write is part of http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

func (a *answer) ok() bool { return a.status >= 200 && a.status < 300 }

// into decodes what was answered.
func (a *answer) into(v any) error { return json.Unmarshal(a.body.Bytes(), v) }

// problem is a refusal (RFC 9457).
type problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Title  string `json:"title"`
	Detail string `json:"detail,omitzero"`
}

// problem is what the API refused with.
func (a *answer) problem() problem {
	said := problem{Status: a.status}
	if err := a.into(&said); err != nil || said.Title == "" {
		said = problem{Status: a.status, Code: reply.CodeInternalError, Title: http.StatusText(a.status)}
	}
	return said
}

// passed are the headers of an answer that are the browser's to see: its session, and
// the binding of that to the device.
var passed = []string{
	"Set-Cookie", "Secure-Session-Registration", "Secure-Session-Challenge", "Retry-After",
}

// call asks the API what the reader of a page could ask it. The request is the
// reader's own in everything but method, path and body.
func (p *Pages) call(w http.ResponseWriter, r *http.Request, method, path string, body any) *answer {
	a := &answer{header: http.Header{}}
	inner, err := request(r, method, path, body)
	if err != nil {
		a.status = http.StatusInternalServerError
		return a
	}
	p.cfg.API.ServeHTTP(a, inner)
	a.WriteHeader(http.StatusOK)
	for _, name := range passed {
		for _, value := range a.header[name] {
			w.Header().Add(name, value)
		}
	}
	return a
}

// request is r with another method, path and body.
func request(r *http.Request, method, path string, body any) (*http.Request, error) {
	target, err := url.ParseRequestURI(path)
	if err != nil {
		return nil, err
	}
	inner := r.Clone(r.Context())
	inner.Method, inner.URL, inner.RequestURI, inner.Pattern = method, target, path, ""
	inner.Form, inner.PostForm, inner.MultipartForm = nil, nil, nil
	inner.Header.Del("Content-Type")
	inner.Header.Del("Content-Length")
	inner.Header.Del("Content-Encoding")
	inner.Body, inner.ContentLength, inner.TransferEncoding = http.NoBody, 0, nil
	if body != nil {
		text, err := json.Marshal(body, json.Deterministic(true))
		if err != nil {
			return nil, err
		}
		inner.Body, inner.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
		inner.Header.Set("Content-Type", "application/json")
	}
	return inner, nil
}

// read asks for what a page shows. It answers when there is nothing to show.
func (p *Pages) read(w http.ResponseWriter, r *http.Request, path string, into any) bool {
	a := p.call(w, r, http.MethodGet, path, nil)
	if !a.ok() {
		p.refused(w, r, a.problem(), here(r))
		return false
	}
	if err := a.into(into); err != nil {
		p.refused(w, r, problem{
			Status: http.StatusInternalServerError, Code: reply.CodeInternalError, Title: "Something went wrong",
		}, here(r))
		return false
	}
	return true
}

// do does what a form asks for, and leads to the page at next. It answers when it was
// not done.
func (p *Pages) do(w http.ResponseWriter, r *http.Request, method, path string, body any, next string) {
	a := p.call(w, r, method, path, body)
	if !a.ok() {
		p.refused(w, r, a.problem(), next)
		return
	}
	redirect(w, r, next)
}

// refused answers what the API refused: with the page to sign in or the one for
// another factor, which lead to next, or with what went wrong.
func (p *Pages) refused(w http.ResponseWriter, r *http.Request, why problem, next string) {
	switch {
	case stepUp[why.Code]:
		p.factorPage(w, r, why, next)
	case why.Status == http.StatusUnauthorized && fromElsewhere(r):
		p.render(w, r, why.Status, view{
			Page: "arrived", Title: "One moment", Problem: problem{Code: why.Code}, Data: here(r),
		})
	case why.Status == http.StatusUnauthorized && !mistake[why.Code]:
		p.signInPage(w, r, signInView{Problem: why, Next: next})
	default:
		p.render(w, r, why.Status, view{Page: "problem", Title: "That did not work", Problem: why})
	}
}

// stepUp are the refusals of a session that lacks a factor.
var stepUp = map[string]bool{
	tenancy.CodeStepUp: true, reply.CodeSecondFactorRequired: true, reply.CodeSecurityKeyRequired: true,
}

// mistake are the refusals of what was typed, in a session that goes on.
var mistake = map[string]bool{
	reply.CodeCodeInvalid: true, reply.CodeCredentialsInvalid: true, reply.CodeSecurityKeyInvalid: true,
}

// fromElsewhere reports whether a link on another site has led here. The browser
// keeps the cookie of the session to itself then (SameSite=Strict): a page of ours that
// goes on to the same address gets it.
func fromElsewhere(r *http.Request) bool {
	return r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Site") == "cross-site" &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate"
}

// here is the page that a request has asked for. What a form has posted is not asked
// for again.
func here(r *http.Request) string {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return "/"
	}
	return local(r.URL.RequestURI())
}

// local is a path of this server, or "/": nobody is led away by a link.
func local(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || len(path) > 2048 ||
		len(path) == 0 || path[0] != '/' || len(path) > 1 && (path[1] == '/' || path[1] == '\\') {
		return "/"
	}
	return u.RequestURI()
}

// redirect leads to another page, which is asked for with GET.
func redirect(w http.ResponseWriter, r *http.Request, path string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, local(path), http.StatusSeeOther)
}
