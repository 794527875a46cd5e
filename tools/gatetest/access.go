package gatetest

import (
	"net/http"
	"slices"
	"strings"
)

// anonymous are the codes for whoever is not signed in, and foreign those for
// whoever asks for what is another's. Unknown and forbidden are one answer.
var (
	anonymous = []string{
		"session_required", "session_malformed", "session_ended", "session_unreadable",
		"session_duplicate", "identity_required", "api_key_required", "api_key_malformed",
		"api_key_unknown", "api_key_not_issued", "api_key_ended",
	}
	foreign = []string{"resource_not_found", "site_conflict"}
)

// accessAttacks are what somebody can do who is not signed in, or as another.
func accessAttacks() []attack {
	isPrivate := func(_ *Suite, r *Route) bool { return !r.Public }
	hasOther := func(s *Suite, r *Route) bool {
		return r.Other != "" || s.Tenants != nil && !r.Public && r.hasHoles()
	}
	const signIn = "put the route behind a session or an API key"
	const own = "ask a tenancy.Gate for the object of the request, not for the user alone"
	return []attack{
		{
			name: "nobody", gate: "sessions", fix: signIn, applies: isPrivate,
			run: func(t *trial) []string {
				d := t.draftOf(func(*http.Request) {})
				t.sign(d)
				return t.mustRefuse(d.Request, anonymous)
			},
		},
		{
			name: "guessed credential", gate: "sessions", fix: signIn, applies: isPrivate,
			run: guessed,
		},
		{
			name: "answer that a cache may keep", gate: "sessions", applies: isPrivate,
			fix: "set Cache-Control: no-store on what is for one user",
			run: func(t *trial) []string {
				control := t.genuine(t.draft()).header.Get("Cache-Control")
				if !strings.Contains(control, "no-store") {
					return []string{"Cache-Control: " + control}
				}
				return nil
			},
		},
		{
			name: "another's object", gate: "tenancy", fix: own, applies: hasOther,
			run: func(t *trial) []string {
				d := t.draft()
				d.retarget(t.route.Other)
				t.sign(d)
				return t.mustRefuse(d.Request, foreign)
			},
		},
		{
			name: "own object asked by another", gate: "tenancy", fix: own, applies: hasOther,
			run: func(t *trial) []string {
				d := t.draftOf(t.users[1])
				t.sign(d)
				return t.mustRefuse(d.Request, foreign)
			},
		},
		{
			name: "another's object, by its owner", gate: "handler", applies: hasOther,
			fix: "declare in Route.Other what the second user may ask for, or the attacks prove nothing",
			run: func(t *trial) []string {
				d := t.draftOf(t.users[1])
				d.retarget(t.route.Other)
				if got := t.genuine(d); !t.accepted(got) {
					return []string{got.String()}
				}
				return nil
			},
		},
	}
}

// guessed alters whatever signing in has added to the request.
func guessed(t *trial) (wrong []string) {
	nobody := t.draftOf(func(*http.Request) {})
	names := added(nobody.Header, t.draft().Header)
	for _, name := range names {
		d := t.draft()
		t.sign(d)
		values := slices.Clone(d.Header[name])
		for i := range values {
			values[i] = altered(values[i])
		}
		d.Header[name] = values
		for _, text := range t.mustRefuse(d.Request, anonymous) {
			wrong = append(wrong, name+": "+text)
		}
	}
	return wrong
}
