package account

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/sessions"
)

// holder returns the caller and their keys, or answers. Whoever has given the
// password alone may go on: a key is a second factor.
func (a *Accounts) holder(w http.ResponseWriter, r *http.Request) (owner, bool) {
	current, err := a.Sessions.Check(r)
	if err != nil {
		a.unavailable(w, r, err)
		return owner{}, false
	}
	user, known := a.byID[current.User]
	if !known {
		a.unavailable(w, r, sessions.ErrNoSession)
		return owner{}, false
	}
	if !a.haveKeys(w) {
		return owner{}, false
	}
	mine, err := a.ownerOf(r.Context(), user)
	if err != nil {
		a.notRecorded(w, r, err)
		return owner{}, false
	}
	return mine, true
}

// AssertOptions answers POST /auth/key/options: what navigator.credentials.get
// takes.
func (a *Accounts) AssertOptions(w http.ResponseWriter, r *http.Request) {
	mine, ok := a.holder(w, r)
	if !ok {
		return
	}
	if len(mine.keys) == 0 {
		reply.Problem(w, http.StatusNotFound, reply.CodeSecurityKeyNotFound, "You have no security key")
		return
	}
	options, session, err := a.keys.BeginLogin(mine,
		webauthn.WithUserVerification(protocol.VerificationRequired))
	if err == nil {
		err = a.ask(r, asserting, session.Challenge)
	}
	a.options(w, r, options, err)
}

// Assert answers POST /auth/key {"credential"}: what navigator.credentials.get made
// of the options. The session gets the highest level, AAL3: a key with its owner's
// PIN or finger is two factors, and cannot be phished.
//
// Wrong answers count as wrong passwords do. They are not paused with wrong codes:
// a signature cannot be guessed, and the owner gets in while somebody else is
// guessing codes.
func (a *Accounts) Assert(w http.ResponseWriter, r *http.Request) {
	var given struct {
		Credential jsontext.Value `json:"credential"`
	}
	mine, ok := a.holder(w, r)
	if !ok || !decodeUpTo(maxKeyBody, w, r, &given) {
		return
	}
	attempt, ok := a.begin(w, r, mine.Email, a.Guard.Begin)
	if !ok {
		return
	}
	defer attempt.Release()
	err := a.assert(r, mine, given.Credential)
	if err != nil {
		if errors.Is(err, errKeyRefused) {
			a.factorFailed(r, mine.User, attempt.Fail(context.WithoutCancel(r.Context())))
		}
		a.keyRefused(w, r, mine.User, err)
		return
	}
	a.succeed(r, attempt)
	a.stepUp(w, r, mine.User, sallyport.AAL3)
}

// assert checks a key's signature over the challenge of this session.
func (a *Accounts) assert(r *http.Request, mine owner, text jsontext.Value) error {
	challenge, err := a.take(r, asserting)
	if err != nil {
		return err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(text)
	if err != nil {
		return fmt.Errorf("%w: %w", errKeyRefused, err)
	}
	// The flags are those of this signature: that its user was verified, and that the
	// key is none that can be copied, as it was at its registration. The credential
	// that comes back says what was ever seen of the key, and is not asked.
	if _, err := a.keys.ValidateLogin(mine, a.session(mine, challenge), parsed); err != nil {
		return fmt.Errorf("%w: %w", errKeyRefused, err)
	}
	return a.spendKey(r, mine, parsed.RawID, parsed.Response.AuthenticatorData.Counter)
}

// spendKey records the use of a key. A counter that does not go forward may be that
// of a copy; the library only notes it.
func (a *Accounts) spendKey(r *http.Request, mine owner, credential []byte, counter uint32) error {
	var key store.SecurityKey
	for _, each := range mine.keys {
		if bytes.Equal(each.Credential, credential) {
			key = each
		}
	}
	used, err := a.Keys.UseKey(context.WithoutCancel(r.Context()), mine.ID, key.ID, counter, time.Now())
	if err != nil || used {
		return err
	}
	err = a.recordKey(r, key, "account.security_key_repeated", audit.OutcomeDenied)
	if err != nil {
		a.Log.ErrorContext(r.Context(), "repeated security key not recorded", "error", err)
	}
	return fmt.Errorf("%w: counter %d does not follow %d", errKeyRefused, counter, key.Counter)
}

// keyRefused answers what came of a ceremony that failed. The cause is the
// operator's to see.
func (a *Accounts) keyRefused(w http.ResponseWriter, r *http.Request, user User, err error) {
	refuse := func(status int, code, title string) {
		a.OnEvent(r.Context(), sallyport.Event{
			Gate: "account", Code: code, Actor: user.ID, Request: r, Err: err,
		})
		a.Log.InfoContext(r.Context(), "security key refused", "user", user.ID, "error", err)
		reply.Problem(w, status, code, title)
	}
	switch {
	case errors.Is(err, errKeySynced):
		refuse(http.StatusUnprocessableEntity, reply.CodeSecurityKeySynced,
			"This passkey can be copied to other devices; use a key of hardware")
	case errors.Is(err, errKeyRefused):
		refuse(http.StatusUnauthorized, reply.CodeSecurityKeyInvalid,
			"The security key was not accepted; try again")
	case errors.Is(err, sessions.ErrNoSession), errors.Is(err, sessions.ErrUnavailable):
		a.unavailable(w, r, err)
	default:
		a.notRecorded(w, r, err)
	}
}
