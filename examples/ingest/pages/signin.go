package pages

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/opsmantik/sallyport/examples/ingest/reply"
)

// me is who is signed in, as GET /auth/me tells.
type me struct {
	ID    string `json:"id"`
	Email string `json:"email"`
	Role  string `json:"role"`
	Level string `json:"level"`
	// Due is "second_factor" or "security_key" where one is missing, and Factors are
	// those that may be given.
	Due     string   `json:"due"`
	Factors []string `json:"factors"`
	Sites   []site   `json:"sites"`
	// KeysPossible: security keys work at this server's origin.
	KeysPossible bool `json:"keys_possible"`
}

type site struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// HasKey reports whether a security key can be used.
func (m *me) HasKey() bool { return m.has("security_key") }

// HasCode reports whether an authenticator's code can be given.
func (m *me) HasCode() bool { return m.has("totp") }

func (m *me) has(factor string) bool {
	return slices.Contains(m.Factors, factor)
}

// who returns the reader of a page if they are signed in with the second factor that
// they have, or answers. Whether they must have used a security key says what they
// ask for.
func (p *Pages) who(w http.ResponseWriter, r *http.Request) (*me, bool) {
	var reader me
	if !p.read(w, r, "/auth/me", &reader) {
		return nil, false
	}
	if reader.Due == "second_factor" {
		why := problem{Status: http.StatusUnauthorized, Code: reply.CodeSecondFactorRequired}
		p.factorPage(w, r, why, here(r))
		return nil, false
	}
	return &reader, true
}

// maxForm bounds what a form posts.
const maxForm = 8 << 10

// form reads what was posted, or answers.
func (p *Pages) form(w http.ResponseWriter, r *http.Request) (url.Values, bool) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	err := r.ParseForm()
	if err == nil {
		return r.PostForm, true
	}
	why := problem{http.StatusBadRequest, reply.CodeBodyIncomplete, "The form could not be read", ""}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		why = problem{http.StatusRequestEntityTooLarge, reply.CodeBodyTooLarge, "The form is too large", ""}
	}
	p.render(w, r, why.Status, view{Page: "problem", Title: "That did not work", Problem: why})
	return nil, false
}

// signInView is what the sign-in page shows.
type signInView struct {
	Problem problem
	Email   string
	Next    string
	Demo    *demoView
}

func (p *Pages) signIn(w http.ResponseWriter, r *http.Request) {
	p.signInPage(w, r, signInView{Next: local(r.URL.Query().Get("next"))})
}

func (p *Pages) signInPage(w http.ResponseWriter, r *http.Request, v signInView) {
	v.Demo = p.cfg.Demo.view(r.Host, time.Now())
	// Who is not signed in need not be told so.
	if v.Problem.Status == http.StatusUnauthorized && !mistake[v.Problem.Code] {
		v.Problem.Title = ""
	}
	p.render(w, r, cmp.Or(v.Problem.Status, http.StatusOK), view{
		Page: "signin", Title: "Sign in", Problem: v.Problem, Data: v,
	})
}

// signedIn takes a password.
func (p *Pages) signedIn(w http.ResponseWriter, r *http.Request) {
	form, ok := p.form(w, r)
	if !ok {
		return
	}
	a := p.call(w, r, http.MethodPost, "/auth/login", map[string]string{
		"email": form.Get("email"), "password": form.Get("password"),
	})
	if !a.ok() {
		p.signInPage(w, r, signInView{
			Problem: a.problem(), Email: form.Get("email"), Next: local(form.Get("next")),
		})
		return
	}
	redirect(w, r, form.Get("next")) // which asks for the other factor
}

// factorView is what the page for another factor shows.
type factorView struct {
	Next string
}

// renew asks for a factor before it is needed: a script has been told that it is.
func (p *Pages) renew(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	p.factorPage(w, r, problem{Code: query.Get("why")}, local(query.Get("next")))
}

// factorPage asks for another factor, and leads to next.
func (p *Pages) factorPage(w http.ResponseWriter, r *http.Request, why problem, next string) {
	var reader me
	if a := p.call(w, r, http.MethodGet, "/auth/me", nil); !a.ok() || a.into(&reader) != nil {
		p.signInPage(w, r, signInView{Problem: a.problem(), Next: next})
		return
	}
	switch {
	case why.Code == reply.CodeSecurityKeyRequired:
		reader.Due = "security_key"
	case reader.Due == "":
		reader.Due = "second_factor" // it was given, and is asked for again
	}
	p.render(w, r, cmp.Or(why.Status, http.StatusOK), view{
		Page: "factor", Title: "Second factor", Me: &reader, Problem: why, Data: factorView{Next: next},
	})
}

// factor takes the code of an authenticator, or a recovery code.
func (p *Pages) factor(w http.ResponseWriter, r *http.Request) {
	form, ok := p.form(w, r)
	if !ok {
		return
	}
	next := local(form.Get("next"))
	a := p.call(w, r, http.MethodPost, "/auth/totp", map[string]string{"code": form.Get("code")})
	if why := a.problem(); !a.ok() {
		if why.Status == http.StatusUnauthorized && !mistake[why.Code] {
			p.signInPage(w, r, signInView{Problem: why, Next: next})
			return
		}
		p.factorPage(w, r, why, next)
		return
	}
	var said failures
	if err := a.into(&said); err == nil && said.Count > 0 {
		said.Next = next
		p.render(w, r, http.StatusOK, view{Page: "failures", Title: "Somebody has tried", Data: said})
		return
	}
	redirect(w, r, next)
}

// failures are wrong second factors since the last right one.
type failures struct {
	Count int       `json:"failed_second_factors"`
	Last  time.Time `json:"last_failed_at"`
	Next  string    `json:"-"`
}

func (p *Pages) signOut(w http.ResponseWriter, r *http.Request) {
	p.do(w, r, http.MethodPost, "/auth/logout", nil, "/sign-in")
}
