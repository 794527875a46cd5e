package account

import (
	"context"
	"crypto/subtle"
	"net/http"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
)

const (
	step = 30 * time.Second
	skew = 1 // steps that a phone's clock may be off (RFC 6238 section 5.2)
)

// TOTP answers POST /auth/totp {"code"}: the second factor of whoever has just
// given the first, from an authenticator or a list of recovery codes. Each code
// works once.
//
// Too many wrong ones in a row, from whatever addresses, pause the account's
// second factor and end the session. A recovery code is not paused: it cannot be
// guessed, and it lets the owner in while somebody else is guessing.
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
	user := a.byID[current.User]
	begin, spend := a.Guard.BeginFactor, a.spendTOTP
	if isRecovery(given.Code) {
		// Counted as passwords are: tries cost, and there is nothing to pause.
		begin, spend = a.Guard.Begin, a.spendRecovery
	}
	attempt, ok := a.begin(w, r, user.Email, begin)
	if !ok {
		return
	}
	defer attempt.Release()
	spent, err := spend(r, user, given.Code)
	if err != nil {
		a.Log.ErrorContext(r.Context(), "second factor not recorded", "error", err)
		reply.Unavailable(w, reply.CodeTOTPUnavailable, "The code could not be recorded")
		return
	}
	if !spent {
		a.report(r, user.ID, reply.CodeCodeInvalid, false)
		a.factorFailed(r, user, attempt.Fail(context.WithoutCancel(r.Context())))
		reply.Problem(w, http.StatusUnauthorized, reply.CodeCodeInvalid,
			"The code is wrong or was used before")
		return
	}
	a.succeed(r, attempt)
	a.stepUp(w, r, user, sallyport.AAL2)
}

// factorFailed notes a wrong second factor for its owner. The one that begins a
// pause ends the session that was used to guess.
func (a *Accounts) factorFailed(r *http.Request, user User, pause time.Duration) {
	ctx := context.WithoutCancel(r.Context())
	if err := a.Factors.FactorFailed(ctx, user.ID, time.Now()); err != nil {
		a.Log.ErrorContext(ctx, "wrong second factor not counted", "error", err)
	}
	if pause == 0 {
		return
	}
	if err := a.record(r, user.ID, "account.second_factor_paused", audit.OutcomeDenied); err != nil {
		a.Log.ErrorContext(ctx, "pause of second factors not recorded", "error", err)
	}
	if err := a.Sessions.Logout(r.Context()); err != nil {
		a.Log.ErrorContext(ctx, "session of wrong second factors not ended", "error", err)
	}
}

// stepUp gives the session the level of its second factor, and the device its token.
// The owner is told how often it was tried in vain.
func (a *Accounts) stepUp(
	w http.ResponseWriter, r *http.Request, user User, level sallyport.Level,
) {
	ctx := context.WithoutCancel(r.Context())
	if err := a.record(r, user.ID, "account.second_factor", audit.OutcomeSuccess); err != nil {
		a.notRecorded(w, r, err)
		return
	}
	if err := a.Sessions.StepUp(r.Context(), level); err != nil {
		a.unavailable(w, r, err)
		return
	}
	a.bind(w, r)
	a.report(r, user.ID, codeSecondFactor, true)
	a.remember(w, user)
	answer := map[string]any{"ok": true}
	n, last, err := a.Factors.FactorFailures(ctx, user.ID)
	if err != nil {
		a.Log.ErrorContext(ctx, "wrong second factors not read", "error", err)
	}
	if n > 0 {
		answer["failed_second_factors"], answer["last_failed_at"] = n, last
	}
	reply.JSON(w, http.StatusOK, answer)
}

// spendTOTP finds the time step that code belongs to and uses it up.
func (a *Accounts) spendTOTP(r *http.Request, user User, code string) (bool, error) {
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
			matched = stepOf(at)
		}
	}
	if matched == 0 {
		return false, nil
	}
	ctx := context.WithoutCancel(r.Context())
	return a.Factors.SpendTOTP(ctx, user.ID, matched, stepOf(now)+skew)
}

func stepOf(at time.Time) int64 { return at.Unix() / int64(step/time.Second) }
