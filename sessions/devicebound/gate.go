package devicebound

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/refusal"
	"github.com/opsmantik/sallyport/sessions"
)

// Gate binds sessions to devices. It is safe for concurrent use. Nil and the zero
// value refuse everything, with [CodeNotConfigured].
type Gate[T any] struct {
	cfg      Config[T]
	refusals *refusal.Table
}

// New returns a gate, or every problem of cfg at once.
func New[T any](cfg Config[T]) (*Gate[T], error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	policy := make(map[sallyport.Level]Policy, len(cfg.Policy))
	maps.Copy(policy, cfg.Policy)
	cfg.Policy = policy
	return &Gate[T]{cfg: cfg, refusals: refusal.NewTable(gate, cfg.ProblemBase, kinds...)}, nil
}

func (g *Gate[T]) configured() bool { return g != nil && g.refusals != nil }

// Wrap is [sessions.Manager.Wrap], and refuses bound sessions whose device has not
// proved itself within Config.Life.
func (g *Gate[T]) Wrap(next http.Handler) http.Handler {
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := g.Check(r); err != nil {
			g.reject(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
	if !g.configured() {
		return inner
	}
	return g.cfg.Sessions.Wrap(inner)
}

// Check decides whether r comes from the device that its session is bound to, and
// returns the session. The error is a *[sallyport.Refusal], of this package or of
// package sessions.
func (g *Gate[T]) Check(r *http.Request) (sessions.Session[T], error) {
	if !g.configured() {
		return sessions.Session[T]{}, g.refuse(CodeNotConfigured, nil)
	}
	s, err := g.cfg.Sessions.Check(r)
	if err != nil {
		return sessions.Session[T]{}, err
	}
	code, ok := g.decide(r, &s)
	if !ok {
		refused := g.refuse(code, nil)
		g.report(r, s.Info, code, refused)
		return sessions.Session[T]{}, refused
	}
	g.report(r, s.Info, code, nil)
	return s, nil
}

// decide is the whole decision.
func (g *Gate[T]) decide(r *http.Request, s *sessions.Session[T]) (code string, ok bool) {
	policy := g.cfg.Policy[s.Level]
	if policy == Off {
		return CodeOff, true
	}
	now := time.Now()
	bound := g.cfg.Binding(&s.Data)
	if len(bound.Key) == 0 {
		if policy == Required && now.Sub(s.AuthTime) >= g.cfg.Window {
			return CodeRequired, false
		}
		return CodeUnbound, true
	}
	cookies := r.CookiesNamed(g.cfg.Cookie)
	switch {
	case len(cookies) == 0:
		return CodeMissing, false
	case len(cookies) > 1 || find(bound.Cookies, cookies[0].Value, now) < 0:
		return CodeExpired, false
	}
	return CodeBound, true
}

// Offer asks the browser to bind the session that this request has just started or
// stepped up: call it after Start or StepUp, before the response begins. Browsers
// that cannot ignore it. For a session that is bound it does nothing.
//
// Offer at no other time. Whoever holds the cookie can register a key, so it must be
// the one who has just proved to be the user.
func (g *Gate[T]) Offer(w http.ResponseWriter, r *http.Request) error {
	if !g.configured() {
		return g.refuse(CodeNotConfigured, nil)
	}
	s, err := g.cfg.Sessions.Check(r)
	if err != nil {
		return err
	}
	if g.cfg.Policy[s.Level] == Off || len(g.cfg.Binding(&s.Data).Key) > 0 {
		return nil
	}
	var challenge string
	err = g.cfg.Sessions.Update(r.Context(), func(data *T) error {
		challenge = issue(&g.cfg.Binding(data).Challenges, time.Now(), g.cfg.Window)
		return nil
	})
	if err != nil {
		return err
	}
	w.Header().Add("Secure-Session-Registration", `(ES256 RS256);path="`+g.cfg.RegisterPath+
		`";challenge="`+challenge+`"`)
	return nil
}

// setCookie is the header value of the short-lived cookie.
func (g *Gate[T]) setCookie(value string) string {
	seconds := strconv.Itoa(int(g.cfg.Life / time.Second))
	return g.cfg.Cookie + "=" + value + "; Max-Age=" + seconds + "; " + attributes
}

// attributes are also what the browser is told to look for.
const attributes = "Path=/; Secure; HttpOnly; SameSite=Strict"

// reject renders a refusal of this package, or of sessions.
func (g *Gate[T]) reject(w http.ResponseWriter, r *http.Request, err error) {
	refused, ok := errors.AsType[*sallyport.Refusal](err)
	if !ok { // a mistake of the program: the response has begun
		return
	}
	if !g.configured() {
		(*refusal.Table)(nil).Answer(w, r, refused, nil)
		return
	}
	if refused.Gate != gate {
		refused.Write(w)
		return
	}
	g.refusals.Answer(w, r, refused, g.cfg.OnReject)
}

func (g *Gate[T]) report(
	r *http.Request, session sessions.Info, code string, refused *sallyport.Refusal,
) {
	if g.cfg.OnEvent == nil {
		return
	}
	e := sallyport.Event{
		Gate: gate, Code: code, Allowed: refused == nil, Actor: session.User, Request: r,
		Detail: Decision{Session: session, Skipped: skipped(r.Header)},
	}
	if refused != nil {
		e.Err = refused.Err
	}
	g.cfg.OnEvent(context.WithoutCancel(r.Context()), e)
}
