package account

import (
	"fmt"
	"net/http"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/sessions"
)

// Site is one that a user may see.
type Site struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Me answers GET /auth/me: who is signed in, how strongly, and which factor is due
// before they can act. Of somebody who still owes the second factor it tells no more
// than how to give it.
func (a *Accounts) Me(w http.ResponseWriter, r *http.Request) {
	current, err := a.Sessions.Check(r)
	if err != nil {
		a.unavailable(w, r, err)
		return
	}
	user, known := a.byID[current.User]
	if !known {
		a.unavailable(w, r, sessions.ErrNoSession)
		return
	}
	mine, err := a.ownerOf(r.Context(), user)
	if err != nil {
		a.notRecorded(w, r, err)
		return
	}
	me := map[string]any{
		"email": user.Email, "level": fmt.Sprintf("AAL%d", current.Level),
		"factors": a.factors(user, len(mine.keys)), "keys_possible": a.keys != nil,
	}
	due := a.due(current.Info, user)
	if due != "" {
		me["due"] = due
	}
	if due != secondFactor {
		me["id"], me["role"], me["sites"] = user.ID, user.Role, user.Sites
	}
	reply.JSON(w, http.StatusOK, me)
}

// What may be due.
const (
	secondFactor = "second_factor"
	securityKey  = "security_key"
)

// due is the factor that a session lacks, or "".
func (a *Accounts) due(s sessions.Info, user User) string {
	switch {
	case a.SecondFactorDue(s):
		return secondFactor
	case s.Level >= user.Needs:
		return ""
	case user.Needs == sallyport.AAL3:
		return securityKey
	default:
		return secondFactor
	}
}

// factors are what a user may give beside the password.
func (a *Accounts) factors(user User, keys int) []string {
	list := []string{}
	if user.TOTPSecret != "" {
		list = append(list, "totp", "recovery_code")
	}
	if keys > 0 && a.keys != nil {
		list = append(list, securityKey)
	}
	return list
}

// EndOthers answers DELETE /auth/sessions: all of the caller's but this one. It is
// offered after a factor has changed (ASVS 7.4.3).
func (a *Accounts) EndOthers(w http.ResponseWriter, r *http.Request) {
	current, ok := a.complete(w, r)
	if !ok {
		return
	}
	n, err := a.Sessions.EndOthers(r.Context())
	if err != nil {
		a.unavailable(w, r, err)
		return
	}
	a.ended(r, current.User, "account.other_sessions_end")
	reply.JSON(w, http.StatusOK, map[string]any{"ok": true, "ended": n})
}
