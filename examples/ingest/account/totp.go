package account

import (
	"crypto/subtle"
	"net/http"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
)

const (
	step = 30 * time.Second
	skew = 1 // steps that a phone's clock may be off (RFC 6238 section 5.2)
)

// TOTP answers POST /auth/totp {"code"}: the second factor of whoever has just
// given the first. Each code works once.
func (a *Accounts) TOTP(w http.ResponseWriter, r *http.Request) {
	current, err := a.Sessions.Check(r)
	if err != nil {
		a.unavailable(w, r, err)
		return
	}
	var given struct {
		Code string `json:"code"`
	}
	if !decode(w, r, &given) {
		return
	}
	attempt, ok := a.begin(w, r, current.User, a.Guard.BeginFactor)
	if !ok {
		return
	}
	defer attempt.Release()
	spent, err := a.spend(r, a.byID[current.User], given.Code)
	if err != nil {
		a.Log.ErrorContext(r.Context(), "one-time password not recorded", "error", err)
		reply.Unavailable(w, reply.CodeTOTPUnavailable, "The code could not be recorded")
		return
	}
	if !a.settle(r.Context(), attempt, spent) {
		reply.Problem(w, http.StatusUnauthorized, reply.CodeCodeInvalid, "The code is wrong or was used before")
		return
	}
	if err := a.Sessions.StepUp(r.Context(), sallyport.AAL2); err != nil {
		a.unavailable(w, r, err)
		return
	}
	reply.JSON(w, http.StatusOK, map[string]any{"ok": true})
}

// spend finds the time step that code belongs to and uses it up.
func (a *Accounts) spend(r *http.Request, user User, code string) (bool, error) {
	if user.TOTPSecret == "" {
		return false, nil
	}
	now := time.Now()
	matched := int64(0)
	for offset := -skew; offset <= skew; offset++ {
		at := now.Add(time.Duration(offset) * step)
		want, err := totp.GenerateCode(user.TOTPSecret, at)
		if err != nil {
			return false, err
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			matched = at.Unix() / int64(step/time.Second)
		}
	}
	if matched == 0 {
		return false, nil
	}
	return a.Factors.SpendTOTP(r.Context(), user.ID, matched)
}
