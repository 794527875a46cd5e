package account

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/opsmantik/sallyport/examples/ingest/store"
)

// ceremonyLimit is how long a browser may take to answer a challenge.
const ceremonyLimit = 5 * time.Minute

// Ceremony is a challenge to a security key that waits for its answer. It is part of
// the session that asked, so that no other session can answer it, every instance
// knows it, and there is one at most: a second one replaces the first.
type Ceremony struct {
	Kind      string    `json:"kind"`
	Challenge string    `json:"challenge"` // base64url
	Begun     time.Time `json:"begun"`
}

// The kinds of ceremonies. A challenge of one kind answers none of the other.
const (
	registering = "register"
	asserting   = "assert"
)

// errKeyRefused is what every refusal of a security key wraps. The answer does not
// say why, the operator's event does.
var errKeyRefused = errors.New("account: security key refused")

// ask remembers a challenge.
func (a *Accounts) ask(r *http.Request, kind, challenge string) error {
	return a.Sessions.Update(r.Context(), func(d *Data) error {
		d.Key = Ceremony{Kind: kind, Challenge: challenge, Begun: time.Now()}
		return nil
	})
}

// take uses up the session's challenge. Update compares and replaces: of many
// requests that answer one challenge, one gets it. The library keeps no book of
// challenges, and would accept an answer any number of times.
func (a *Accounts) take(r *http.Request, kind string) (challenge string, err error) {
	err = a.Sessions.Update(r.Context(), func(d *Data) error {
		asked := d.Key
		if asked.Kind != kind {
			return fmt.Errorf("%w: no challenge is waiting", errKeyRefused)
		}
		d.Key = Ceremony{}
		challenge = asked.Challenge
		if age := time.Since(asked.Begun); age >= ceremonyLimit || age < -ceremonyLimit {
			challenge = ""
		}
		return nil
	})
	if err == nil && challenge == "" {
		err = fmt.Errorf("%w: the challenge is %v old or older", errKeyRefused, ceremonyLimit)
	}
	return challenge, err
}

// relyingParty is this server as security keys know it, or nil if none of its
// origins has a name that they accept: an address is none, localhost is.
func relyingParty(origins []string) (*webauthn.WebAuthn, error) {
	var host string
	var own []string
	for _, origin := range origins {
		name := rpID(origin)
		if name == "" || host != "" && host != name {
			continue
		}
		host, own = name, append(own, origin)
	}
	if host == "" {
		return nil, nil //nolint:nilnil // none is an answer
	}
	limit := webauthn.TimeoutConfig{Enforce: true, Timeout: ceremonyLimit}
	return webauthn.New(&webauthn.Config{
		RPID: host, RPDisplayName: "Sallyport ingest", RPOrigins: own,
		Timeouts: webauthn.TimeoutsConfig{Login: limit, Registration: limit},
		// No attestation is asked for: which model a key is stays its owner's business,
		// and nobody here would maintain the list of trustworthy ones. So it is the
		// owner's word, and their browser's, that the key is one of hardware.
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			AuthenticatorAttachment: protocol.CrossPlatform,
			// The password has said who it is, so the key need not hold a name.
			ResidentKey:        protocol.ResidentKeyRequirementDiscouraged,
			RequireResidentKey: protocol.ResidentKeyNotRequired(),
			UserVerification:   protocol.VerificationRequired,
		},
		// Some browsers and password managers say more than they are asked. Nothing here
		// depends on it (WebAuthn section 7.2 leaves it to us).
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
}

// rpID is the name that security keys know an origin by, or "": an address is none.
func rpID(origin string) string {
	u, err := url.Parse(origin)
	if err != nil || protocol.ValidateRPID(u.Hostname()) != nil {
		return ""
	}
	return u.Hostname()
}

// algorithms are the ones that every browser and key has one of.
func algorithms() []protocol.CredentialParameter {
	var list []protocol.CredentialParameter
	for _, alg := range []webauthncose.COSEAlgorithmIdentifier{
		webauthncose.AlgES256, webauthncose.AlgEdDSA, webauthncose.AlgRS256,
	} {
		list = append(list, protocol.CredentialParameter{
			Type: protocol.PublicKeyCredentialType, Algorithm: alg,
		})
	}
	return list
}

// owner is a user as the library sees one.
type owner struct {
	User
	keys []store.SecurityKey
	lost []store.SecurityKey // no longer theirs, see User.KeysAfter
}

// ownerOf returns a user with their keys.
func (a *Accounts) ownerOf(ctx context.Context, user User) (owner, error) {
	list, err := a.Keys.Keys(ctx, user.ID)
	o := owner{User: user}
	for _, key := range list {
		if key.Created.Before(user.KeysAfter) {
			o.lost = append(o.lost, key)
		} else {
			o.keys = append(o.keys, key)
		}
	}
	return o, err
}

// WebAuthnID is what a key may remember of its user: no name, and no address.
func (o owner) WebAuthnID() []byte {
	sum := sha256.Sum256([]byte("sallyport ingest: user " + o.ID))
	return sum[:]
}

func (o owner) WebAuthnName() string        { return o.Email }
func (o owner) WebAuthnDisplayName() string { return o.Email }

func (o owner) WebAuthnCredentials() []webauthn.Credential {
	list := make([]webauthn.Credential, len(o.keys))
	for i, key := range o.keys {
		list[i] = webauthn.Credential{
			ID: key.Credential, PublicKey: key.PublicKey,
			Authenticator: webauthn.Authenticator{SignCount: key.Counter},
		}
	}
	return list
}

func (o owner) descriptors() []protocol.CredentialDescriptor {
	credentials := o.WebAuthnCredentials()
	list := make([]protocol.CredentialDescriptor, len(credentials))
	for i := range credentials {
		list[i] = credentials[i].Descriptor()
	}
	return list
}

// session is what the library compares an answer with. It follows from the user,
// the configuration and the challenge, so that only the challenge has to be kept,
// and a key that was removed meanwhile is not in it.
func (a *Accounts) session(o owner, challenge string) webauthn.SessionData {
	return webauthn.SessionData{
		Challenge: challenge, RelyingPartyID: a.keys.Config.RPID, UserID: o.WebAuthnID(),
		UserVerification: protocol.VerificationRequired, CredParams: algorithms(),
	}
}

// keyID names a credential in lists, paths and records. Credential ids may have
// 1023 bytes.
func keyID(credential []byte) string {
	sum := sha256.Sum256(credential)
	return base64.RawURLEncoding.EncodeToString(sum[:18])
}
