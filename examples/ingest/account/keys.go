package account

import (
	"context"
	jsonv1 "encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/sessions"
)

const (
	// maxKeys is how many security keys a user may have: one in use, one in the
	// safe, and some.
	maxKeys = 8
	// maxKeyBody bounds the answer of a browser to a challenge. Most have 1 KiB, a
	// key that names itself at length 5 KiB.
	maxKeyBody    = 16 << 10
	maxCredential = 1023 // bytes of a credential id (WebAuthn section 4)
	maxKeyName    = 64   // characters
)

// ListKeys answers GET /auth/keys: the caller's own.
func (a *Accounts) ListKeys(w http.ResponseWriter, r *http.Request) {
	current, ok := a.complete(w, r)
	if !ok {
		return
	}
	mine, err := a.ownerOf(r.Context(), a.byID[current.User])
	if err != nil {
		a.notRecorded(w, r, err)
		return
	}
	rows := make([]map[string]any, len(mine.keys))
	for i, key := range mine.keys {
		rows[i] = row(key)
	}
	reply.JSON(w, http.StatusOK, map[string]any{"keys": rows})
}

func row(key store.SecurityKey) map[string]any {
	row := map[string]any{"id": key.ID, "name": key.Name, "created_at": key.Created}
	if !key.Used.IsZero() {
		row["used_at"] = key.Used
	}
	return row
}

// KeyOptions answers POST /auth/key/new: what navigator.credentials.create
// takes.
func (a *Accounts) KeyOptions(w http.ResponseWriter, r *http.Request) {
	mine, ok := a.mayChangeKeys(w, r)
	if !ok {
		return
	}
	if len(mine.keys) >= maxKeys {
		reply.Problem(w, http.StatusConflict, reply.CodeSecurityKeysFull, "Remove a key first")
		return
	}
	options, session, err := a.keys.BeginRegistration(mine,
		webauthn.WithExclusions(mine.descriptors()),
		webauthn.WithCredentialParameters(algorithms()),
		webauthn.WithPublicKeyCredentialHints(
			[]protocol.PublicKeyCredentialHints{protocol.PublicKeyCredentialHintSecurityKey}),
	)
	if err == nil {
		err = a.ask(r, registering, session.Challenge)
	}
	a.options(w, r, options, err)
}

// options answers with what a browser asks its keys.
func (a *Accounts) options(w http.ResponseWriter, r *http.Request, options any, err error) {
	if err != nil {
		a.unavailable(w, r, err)
		return
	}
	text, err := jsonv1.Marshal(options) // the library's types are written for it
	if err != nil {
		a.unavailable(w, r, err)
		return
	}
	reply.JSON(w, http.StatusOK, jsontext.Value(text))
}

// AddKey answers POST /auth/keys {"name","credential"}, where credential is what
// navigator.credentials.create made of the options.
func (a *Accounts) AddKey(w http.ResponseWriter, r *http.Request) {
	var given struct {
		Name       string         `json:"name"`
		Credential jsontext.Value `json:"credential"`
	}
	mine, ok := a.mayChangeKeys(w, r)
	if !ok || !decodeUpTo(maxKeyBody, w, r, &given) {
		return
	}
	key, err := a.create(r, mine, given.Credential)
	if err != nil {
		a.keyRefused(w, r, mine.User, err)
		return
	}
	key.Name = keyName(given.Name)
	err = a.forget(r, mine.lost)
	if err == nil {
		err = a.recordKey(r, key, "account.security_key_added", audit.OutcomeSuccess)
	}
	if err == nil {
		err = a.Keys.AddKey(context.WithoutCancel(r.Context()), key, len(mine.keys))
	}
	switch {
	case errors.Is(err, store.ErrKeyExists):
		reply.Problem(w, http.StatusConflict, reply.CodeSecurityKeyExists, "This key is registered already")
	case errors.Is(err, store.ErrKeysChanged):
		reply.Problem(w, http.StatusConflict, reply.CodeSecurityKeysChanged,
			"Your keys have changed meanwhile; look at them and try again")
	case err != nil:
		a.notRecorded(w, r, err)
	default:
		a.report(r, mine.ID, codeKeyAdded, true)
		reply.JSON(w, http.StatusCreated, row(key))
	}
}

// errKeySynced refuses a passkey that can be copied to other devices.
var errKeySynced = fmt.Errorf("%w: it can be copied to other devices", errKeyRefused)

// create checks what a new key says of itself.
func (a *Accounts) create(r *http.Request, mine owner, text jsontext.Value) (store.SecurityKey, error) {
	challenge, err := a.take(r, registering)
	if err != nil {
		return store.SecurityKey{}, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(text)
	if err != nil {
		return store.SecurityKey{}, fmt.Errorf("%w: %w", errKeyRefused, err)
	}
	// A key that can be copied to another device is no AAL3 (NIST SP 800-63B-4 section
	// 2.3.2 and appendix B).
	if parsed.Response.AttestationObject.AuthData.Flags.HasBackupEligible() {
		return store.SecurityKey{}, errKeySynced
	}
	made, err := a.keys.CreateCredential(mine, a.session(mine, challenge), parsed)
	if err != nil {
		return store.SecurityKey{}, fmt.Errorf("%w: %w", errKeyRefused, err)
	}
	if len(made.ID) > maxCredential {
		return store.SecurityKey{}, fmt.Errorf("%w: its id has %d bytes", errKeyRefused, len(made.ID))
	}
	return store.SecurityKey{
		ID: keyID(made.ID), User: mine.ID, Credential: made.ID, PublicKey: made.PublicKey,
		Counter: made.Authenticator.SignCount, Created: time.Now().UTC().Truncate(time.Microsecond),
	}, nil
}

// keyName is a name that can be shown.
func keyName(given string) string {
	name := strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, given))
	if utf8.RuneCountInString(name) > maxKeyName {
		name = string([]rune(name)[:maxKeyName])
	}
	if name == "" {
		return "Security key"
	}
	return name
}

// RemoveKey answers DELETE /auth/keys/{id}, for one of the caller's own. Sessions
// that it has opened elsewhere go on; the caller may end them.
func (a *Accounts) RemoveKey(w http.ResponseWriter, r *http.Request) {
	mine, ok := a.mayChangeKeys(w, r)
	if !ok {
		return
	}
	for _, key := range mine.keys {
		if key.ID == r.PathValue("id") {
			a.removeKey(w, r, key)
			return
		}
	}
	reply.Problem(w, http.StatusNotFound, reply.CodeSecurityKeyNotFound, "You have no such key")
}

// forget removes keys.
func (a *Accounts) forget(r *http.Request, keys []store.SecurityKey) error {
	for _, key := range keys {
		err := a.recordKey(r, key, "account.security_key_removed", audit.OutcomeSuccess)
		if err == nil {
			_, err = a.Keys.RemoveKey(context.WithoutCancel(r.Context()), key.User, key.ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *Accounts) removeKey(w http.ResponseWriter, r *http.Request, key store.SecurityKey) {
	if err := a.forget(r, []store.SecurityKey{key}); err != nil {
		a.notRecorded(w, r, err)
		return
	}
	a.report(r, key.User, codeKeyRemoved, true)
	reply.JSON(w, http.StatusOK, map[string]any{"ok": true})
}

// mayChangeKeys returns the caller and their keys if they may add and remove some,
// or answers. The first key takes a second factor, given just now; every change
// after that takes a key. Whoever has got hold of a password and a code adds no key
// to an account that has one, and takes none away.
func (a *Accounts) mayChangeKeys(w http.ResponseWriter, r *http.Request) (owner, bool) {
	current, ok := a.complete(w, r)
	if !ok || !a.haveKeys(w) {
		return owner{}, false
	}
	mine, err := a.ownerOf(r.Context(), a.byID[current.User])
	if err != nil {
		a.notRecorded(w, r, err)
		return owner{}, false
	}
	need := sallyport.AAL2
	if len(mine.keys) > 0 {
		need = sallyport.AAL3
	}
	return mine, fresh(w, current.Info, need)
}

// haveKeys reports whether security keys work here, or answers.
func (a *Accounts) haveKeys(w http.ResponseWriter) bool {
	if a.keys != nil {
		return true
	}
	reply.Problem(w, http.StatusNotFound, reply.CodeSecurityKeysOff,
		"Security keys need PUBLIC_ORIGIN, with a name")
	return false
}

// fresh reports whether every factor that is needed was given just now, or answers.
func fresh(w http.ResponseWriter, current sessions.Info, need sallyport.Level) bool {
	if current.Level >= need && time.Since(current.AuthTime) <= freshness {
		return true
	}
	if need >= sallyport.AAL3 {
		reply.Problem(w, http.StatusUnauthorized, reply.CodeSecurityKeyRequired,
			"Use your security key first, or again")
		return false
	}
	reply.Problem(w, http.StatusUnauthorized, reply.CodeSecondFactorRequired,
		"Give the second factor first, or again")
	return false
}

// recordKey appends to the audit log what happened to a key.
func (a *Accounts) recordKey(
	r *http.Request, key store.SecurityKey, action string, outcome audit.Outcome,
) error {
	return a.Record(context.WithoutCancel(r.Context()), audit.Record{
		Time:    time.Now(),
		Actor:   audit.Ref{Kind: "user", ID: key.User},
		Action:  action,
		Target:  audit.Ref{Kind: "security_key", ID: key.ID},
		Outcome: outcome,
	})
}
