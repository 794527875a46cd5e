package devicebound

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/sessions"
)

// Register answers the browser that registers its key, at Config.RegisterPath. It
// needs no Load around it.
func (g *Gate[T]) Register() http.Handler { return g.endpoint(g.register) }

// Refresh answers the browser that wants its next short-lived cookie, at
// Config.RefreshPath. It needs no Load around it, and is no activity of the
// person: browsers refresh on their own.
func (g *Gate[T]) Refresh() http.Handler { return g.endpoint(g.refresh) }

// outcome is how an endpoint decided.
type outcome struct {
	code    string
	refused error
	value   string // of the next cookie, or the challenge
}

// endpoint is what both have in common.
func (g *Gate[T]) endpoint(
	decide func(*http.Request, sessions.Session[T]) outcome,
) http.Handler {
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The answer's timing tells who is signed in, so no other site may embed it
		// (https://w3c.github.io/webappsec-dbsc/#server-considerations).
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		w.Header().Set("X-Frame-Options", "DENY")
		s, err := g.cfg.Sessions.Check(r)
		if err != nil {
			g.reject(w, r, g.patient(err))
			return
		}
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "POST only", http.StatusMethodNotAllowed)
			return
		}
		g.answer(w, r, s, decide(r, s))
	})
	if !g.configured() {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			g.reject(w, r, g.refuse(CodeNotConfigured, nil))
		})
	}
	return g.cfg.Sessions.LoadPassive(inner)
}

func (g *Gate[T]) answer(
	w http.ResponseWriter, r *http.Request, s sessions.Session[T], out outcome,
) {
	refused, _ := errors.AsType[*sallyport.Refusal](out.refused)
	if refused == nil || refused.Gate == gate { // sessions tells of its own
		g.report(r, s.Info, out.code, refused)
	}
	if out.code == CodeChallenge {
		w.Header().Set("Secure-Session-Challenge", `"`+out.value+`";id="`+s.ID+`"`)
	}
	if refused != nil {
		g.reject(w, r, refused)
		return
	}
	w.Header().Add("Set-Cookie", g.setCookie(out.value))
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(g.instructions(s.ID)) // the client may be gone
}

// instructions tell the browser what is bound: every request to this origin, but for
// the endpoints themselves.
// (https://w3c.github.io/webappsec-dbsc/#format-session-instructions)
func (g *Gate[T]) instructions(id string) []byte {
	type object map[string]any
	body, err := json.Marshal(object{
		"session_identifier": id,
		"refresh_url":        g.cfg.RefreshPath,
		"scope":              object{"include_site": false, "scope_specification": []object{}},
		"credentials": []object{{
			"type": "cookie", "name": g.cfg.Cookie, "attributes": attributes,
		}},
	})
	if err != nil { // strings and a bool
		return nil
	}
	return body
}

var (
	errOnce = errors.New("devicebound: the challenge is not open: spent, expired or never issued")
	errLate = errors.New("devicebound: bound already")
)

// register stores the key of a proof over a challenge that Offer issued.
func (g *Gate[T]) register(r *http.Request, _ sessions.Session[T]) outcome {
	p, err := g.presented(r)
	if err != nil {
		return g.invalid(err)
	}
	key, err := p.register()
	if err != nil {
		return g.invalid(err)
	}
	var cookie string
	err = g.cfg.Sessions.Update(r.Context(), func(data *T) error {
		bound, now := g.cfg.Binding(data), time.Now()
		if len(bound.Key) > 0 {
			return errLate
		}
		if !spend(&bound.Challenges, p.claims.Challenge, now) {
			return errOnce
		}
		bound.Key, bound.Challenges = key, nil // others, of registration, are void
		cookie = issue(&bound.Cookies, now, g.cfg.Life)
		return nil
	})
	return g.settled(CodeRegistered, cookie, err)
}

// refresh issues the next cookie for a proof over a challenge, or the challenge.
func (g *Gate[T]) refresh(r *http.Request, s sessions.Session[T]) outcome {
	bound := g.cfg.Binding(&s.Data)
	id, ok := one(r.Header, "Sec-Secure-Session-Id")
	if !ok || id != s.ID || len(bound.Key) == 0 {
		// Not from a browser that keeps this session's key. Sec- cannot be set by a
		// page.
		return g.invalid(errMalformed)
	}
	if len(r.Header["Secure-Session-Response"]) == 0 {
		return g.challenge(r)
	}
	p, err := g.presented(r)
	if err == nil {
		err = p.refresh(bound.Key)
	}
	if err != nil {
		return g.invalid(err)
	}
	var cookie string
	err = g.cfg.Sessions.Update(r.Context(), func(data *T) error {
		bound, now := g.cfg.Binding(data), time.Now()
		if !spend(&bound.Challenges, p.claims.Challenge, now) {
			return errOnce
		}
		cookie = issue(&bound.Cookies, now, g.cfg.Life)
		return nil
	})
	if errors.Is(err, errOnce) { // late or crossed: the browser tries again
		return g.challenge(r)
	}
	return g.settled(CodeRefreshed, cookie, err)
}

// challenge issues one.
func (g *Gate[T]) challenge(r *http.Request) outcome {
	var value string
	err := g.cfg.Sessions.Update(r.Context(), func(data *T) error {
		value = issue(&g.cfg.Binding(data).Challenges, time.Now(), g.cfg.Window)
		return nil
	})
	if err != nil {
		return g.settled("", "", err)
	}
	return outcome{CodeChallenge, g.refuse(CodeChallenge, nil), value}
}

// presented reads the proof of a request.
func (g *Gate[T]) presented(r *http.Request) (*proof, error) {
	token, ok := one(r.Header, "Secure-Session-Response")
	if !ok {
		return nil, errMalformed
	}
	return parse(token)
}

func (g *Gate[T]) invalid(cause error) outcome {
	return outcome{CodeProof, g.refuse(CodeProof, cause), ""}
}

// settled turns the outcome of a change into an answer.
func (g *Gate[T]) settled(code, value string, err error) outcome {
	if err == nil {
		return outcome{code, nil, value}
	}
	if errors.Is(err, errLate) {
		return outcome{CodeTwice, g.refuse(CodeTwice, err), ""}
	}
	if errors.Is(err, errOnce) {
		return g.invalid(err)
	}
	if refused, ok := errors.AsType[*sallyport.Refusal](g.patient(err)); ok {
		return outcome{refused.Code, refused, ""}
	}
	// ErrTooLarge, or an ErrConflict that would not end.
	return outcome{CodeNoRoom, g.refuse(CodeNoRoom, err), ""}
}

// patient turns the refusal of a token that was just replaced into one after which a
// browser tries again: after any other 4xx it gives up its key
// (https://w3c.github.io/webappsec-dbsc/#algo-session-request).
func (g *Gate[T]) patient(err error) error {
	refused, ok := errors.AsType[*sallyport.Refusal](err)
	if ok && refused.Code == sessions.CodeReplaced {
		return g.refuse(CodeAgain, err)
	}
	return err
}
