// Package account signs people in: a password, then a one-time password, then
// a session whose token is new at each step.
package account

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/password"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/ratelimit/clientaddr"
	"github.com/opsmantik/sallyport/ratelimit/loginguard"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/sessions/devicebound"
)

const maxBody = 4 << 10

// User is someone who may sign in.
type User struct {
	ID         string
	Email      string
	Hash       *password.Hash
	TOTPSecret string // base32; empty: password only
	Role       string
	Needs      sallyport.Level // to act by the role
	Sites      []Site
	// KeysAfter is when the operator was told that the user has lost their security
	// keys: those that were registered before no longer count.
	KeysAfter time.Time
}

// Data is what a session of this server carries beside the user: the key of the
// browser that it is bound to, if there is one, and the challenge to a security key
// that waits for its answer.
type Data struct {
	Device devicebound.Binding `json:"device,omitzero"`
	Key    Ceremony            `json:"key,omitzero"`
}

// Device binds sessions to browsers.
type Device = devicebound.Gate[Data]

// Sessions keeps people signed in.
type Sessions = sessions.Manager[Data]

// Config configures Accounts. All fields but Origins are required.
type Config struct {
	Users    map[string]User // by lower-case e-mail address
	Sessions *Sessions
	Device   *Device
	Guard    *loginguard.Guard
	Factors  store.Factors
	Keys     store.SecurityKeys
	// Origins are where browsers reach this server. Security keys work at those
	// that have a name, and not at an address.
	Origins []string
	// Record appends to the audit log.
	Record func(context.Context, audit.Record) error
	// OnEvent receives sign-ins, and what is none.
	OnEvent func(context.Context, sallyport.Event)
	Log     *slog.Logger
}

// Accounts holds the handlers under /auth.
type Accounts struct {
	Config
	byID   map[string]User
	decoy  *password.Hash
	checks *password.Checker
	keys   *webauthn.WebAuthn // nil: no security keys
}

// New completes a Config.
func New(cfg Config) (*Accounts, error) {
	keys, err := relyingParty(cfg.Origins)
	if err != nil {
		return nil, err
	}
	a := &Accounts{Config: cfg, byID: map[string]User{}, keys: keys}
	var hashes []*password.Hash
	for _, user := range cfg.Users {
		a.byID[user.ID] = user
		hashes = append(hashes, user.Hash)
	}
	a.decoy = password.Decoy(hashes...)
	a.checks = password.NewChecker(hashes...)
	return a, nil
}

// Login answers POST /auth/login {"email","password"}. Whether the account
// exists cannot be told from the answer, nor from its time as long as all hashes
// have the same parameters.
func (a *Accounts) Login(w http.ResponseWriter, r *http.Request) {
	var given struct {
		Email    string `json:"email"`
		Password string `json:"password"`
	}
	if !decode(w, r, &given) {
		return
	}
	email := strings.ToLower(strings.TrimSpace(given.Email))
	attempt, ok := a.begin(w, r, email, a.Guard.Begin)
	if !ok {
		return
	}
	defer attempt.Release()
	user, known := a.Users[email]
	hash := user.Hash
	if !known {
		hash = a.decoy
	}
	matches, err := a.checks.Check(r.Context(), hash, given.Password)
	if err != nil {
		reply.Unavailable(w, reply.CodeLoginBusy, "Too many sign-ins at once; try again")
		return
	}
	if !matches || !known {
		a.passwordFailed(r, user, attempt)
		reply.Problem(w, http.StatusUnauthorized, reply.CodeCredentialsInvalid,
			"E-mail address or password is wrong")
		return
	}
	a.succeed(r, attempt)
	a.signIn(w, r, user)
}

// bind offers the browser to bind the session that has just begun or been renewed.
// One that is not bound is as good as in a browser that cannot.
func (a *Accounts) bind(w http.ResponseWriter, r *http.Request) {
	if err := a.Device.Offer(w, r); err != nil {
		a.Log.WarnContext(r.Context(), "session not bound to its device", "error", err)
	}
}

// passwordFailed counts a wrong password. A ban that it starts is recorded for
// accounts that there are: of others, anybody could fill the log with bans.
func (a *Accounts) passwordFailed(r *http.Request, user User, attempt *loginguard.Attempt) {
	ctx := context.WithoutCancel(r.Context())
	ban := attempt.Fail(ctx)
	a.report(r, user.ID, reply.CodeCredentialsInvalid, false)
	if ban == 0 || user.ID == "" {
		return
	}
	// Beside the answer: one that waits for the disk would tell that there is such
	// an account.
	go func() {
		if err := a.record(r, user.ID, "account.sign_in_banned", audit.OutcomeDenied); err != nil {
			a.Log.ErrorContext(ctx, "ban not recorded", "error", err)
		}
	}()
}

// signIn begins the session of whoever knows the password. Not on record means
// not signed in.
func (a *Accounts) signIn(w http.ResponseWriter, r *http.Request, user User) {
	if err := a.record(r, user.ID, "account.sign_in", audit.OutcomeSuccess); err != nil {
		a.notRecorded(w, r, err)
		return
	}
	if err := a.makeRoom(r.Context(), user); err != nil {
		a.unavailable(w, r, err)
		return
	}
	first := sessions.Login{User: user.ID, Level: sallyport.AAL1}
	if err := a.Sessions.Start(r.Context(), first, Data{}); err != nil {
		a.unavailable(w, r, err)
		return
	}
	a.bind(w, r)
	a.report(r, user.ID, codePassword, true)
	answer := map[string]any{"ok": true}
	if user.TOTPSecret != "" {
		answer["next"] = "/auth/totp"
	} else {
		a.remember(w, user)
	}
	reply.JSON(w, http.StatusOK, answer)
}

// maxPending is how many sessions of a user may lack the second factor that is
// due. They have an allowance of their own: whoever knows the password alone ends
// no full session by signing in again and again.
const maxPending = 8

// makeRoom ends the pending sessions that were not used for longest.
func (a *Accounts) makeRoom(ctx context.Context, user User) error {
	if user.TOTPSecret == "" {
		return nil
	}
	list, err := a.Sessions.List(ctx, user.ID)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(s sessions.Info) bool { return s.Level >= sallyport.AAL2 })
	slices.SortFunc(list, func(x, y sessions.Info) int { return x.Seen.Compare(y.Seen) })
	for len(list) >= maxPending {
		err := a.Sessions.End(ctx, user.ID, list[0].ID)
		if err != nil && !errors.Is(err, sessions.ErrNoSession) {
			return err
		}
		list = list[1:]
	}
	return nil
}

// begin counts the attempt before anything costly is done for it. The answer
// is written when it may not go on.
func (a *Accounts) begin(
	w http.ResponseWriter, r *http.Request, account string,
	begin func(context.Context, loginguard.Login) (*loginguard.Attempt, error),
) (*loginguard.Attempt, bool) {
	addr, _ := clientaddr.FromContext(r.Context())
	attempt, err := begin(r.Context(), loginguard.Login{
		Addr: addr, Account: account, Device: device(r), Request: r,
	})
	if !a.Guard.Answer(w, r, err) {
		return nil, false
	}
	if err := attempt.Wait(r.Context()); err != nil {
		attempt.Release()
		reply.Unavailable(w, reply.CodeLoginBusy, "The request ended before its turn came")
		return nil, false
	}
	return attempt, true
}

// succeed forgets what failed before a right secret.
func (a *Accounts) succeed(r *http.Request, attempt *loginguard.Attempt) {
	if err := attempt.Succeed(context.WithoutCancel(r.Context())); err != nil {
		a.Log.WarnContext(r.Context(), "failed sign-ins not forgotten", "error", err)
	}
}

// SecondFactorDue reports whether a session still lacks the second factor that
// its user has enrolled. Until then it is good for giving that factor, and for
// signing out.
func (a *Accounts) SecondFactorDue(s sessions.Info) bool {
	return a.byID[s.User].TOTPSecret != "" && s.Level < sallyport.AAL2
}

// complete returns the session of a request that has every factor, or answers.
func (a *Accounts) complete(w http.ResponseWriter, r *http.Request) (sessions.Session[Data], bool) {
	current, err := a.Sessions.Check(r)
	if err != nil {
		a.unavailable(w, r, err)
		return current, false
	}
	if _, known := a.byID[current.User]; !known {
		a.unavailable(w, r, sessions.ErrNoSession)
		return current, false
	}
	if a.SecondFactorDue(current.Info) {
		reply.Problem(w, http.StatusUnauthorized, reply.CodeSecondFactorRequired,
			"Give the second factor first")
		return current, false
	}
	return current, true
}

// Logout answers POST /auth/logout.
func (a *Accounts) Logout(w http.ResponseWriter, r *http.Request) {
	current, _ := a.Sessions.Check(r)
	if err := a.Sessions.Logout(r.Context()); err != nil {
		a.unavailable(w, r, err)
		return
	}
	a.ended(r, current.User, "account.sign_out")
	a.report(r, current.User, codeSignedOut, true)
	reply.JSON(w, http.StatusOK, map[string]any{"ok": true})
}

// List answers GET /auth/sessions: the caller's own.
func (a *Accounts) List(w http.ResponseWriter, r *http.Request) {
	current, ok := a.complete(w, r)
	if !ok {
		return
	}
	list, err := a.Sessions.List(r.Context(), current.User)
	if err != nil {
		a.unavailable(w, r, err)
		return
	}
	rows := make([]map[string]any, len(list))
	for i, info := range list {
		rows[i] = map[string]any{
			"id": info.ID, "current": info.ID == current.ID, "level": fmt.Sprintf("AAL%d", info.Level),
			"client": info.Client, "signed_in_at": info.AuthTime, "last_seen_at": info.Seen, "expires_at": info.Expires,
		}
	}
	reply.JSON(w, http.StatusOK, map[string]any{"sessions": rows})
}

// End answers DELETE /auth/sessions/{id}, for one of the caller's own.
func (a *Accounts) End(w http.ResponseWriter, r *http.Request) {
	current, ok := a.complete(w, r)
	if !ok {
		return
	}
	err := a.Sessions.End(r.Context(), current.User, r.PathValue("id"))
	switch {
	case errors.Is(err, sessions.ErrNoSession), errors.Is(err, sessions.ErrInvalid):
		reply.Problem(w, http.StatusNotFound, reply.CodeSessionNotFound, "You have no such session")
	case err != nil:
		a.unavailable(w, r, err)
	default:
		a.ended(r, current.User, "account.session_end")
		reply.JSON(w, http.StatusOK, map[string]any{"ok": true})
	}
}

// notRecorded answers what the audit log, or the store of factors, could not keep.
func (a *Accounts) notRecorded(w http.ResponseWriter, r *http.Request, err error) {
	a.Log.ErrorContext(r.Context(), "account: not recorded", "error", err)
	reply.Unavailable(w, reply.CodeStoreUnavailable, "It could not be recorded; try again")
}

// unavailable answers what the session store could not do. A session that
// ended meanwhile is no fault of the store.
func (a *Accounts) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, sessions.ErrNoSession) {
		reply.Problem(w, http.StatusUnauthorized, "session_ended", "The session has ended")
		return
	}
	a.Log.ErrorContext(r.Context(), "sessions unavailable", "error", err)
	reply.Unavailable(w, "session_unavailable", "Sessions are unavailable")
}

// decode reads a small, strict JSON body.
func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	return decodeUpTo(maxBody, w, r, into)
}

func decodeUpTo(limit int64, w http.ResponseWriter, r *http.Request, into any) bool {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		reply.BodyError(w, err)
		return false
	}
	if err := json.Unmarshal(text, into, json.RejectUnknownMembers(true)); err != nil {
		reply.Problem(w, http.StatusUnprocessableEntity, event.CodeWrongShape, "The body has another shape")
		return false
	}
	return true
}
