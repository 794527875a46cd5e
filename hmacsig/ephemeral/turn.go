package ephemeral

import (
	"crypto/hmac"
	"crypto/sha1" // #nosec G505 -- the protocol's
	"encoding/base64"
	"strconv"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
)

// TURN makes TURN REST credentials. It is safe for concurrent use. The zero TURN and
// nil make none.
//
//	browser                your API                     TURN server
//	  |-- who am I --------->|                             | the same secret
//	  |<-- name, password ---| name = expiry ":" user      |
//	  |-- Allocate, name, MESSAGE-INTEGRITY -------------->| computes the password,
//	  |<-- relay ------------------------------------------| and looks at the expiry
type TURN struct {
	secret   hmacsig.Secret
	lifetime time.Duration
}

// TURNCredentials are what a WebRTC client puts into its RTCIceServer.
type TURNCredentials struct {
	Username string
	Password string // a secret: hand it to the client and to no log
	Expires  time.Time
}

// NewTURN makes a TURN for the secret that the TURN server has as its
// static-auth-secret. Lifetime 0 means 5 minutes; at most 24 hours. A TURN
// server takes several secrets at once, so rotation is: add the new one there,
// make a TURN of it here, and drop the old one there after a lifetime.
func NewTURN(secret hmacsig.Secret, lifetime time.Duration) (*TURN, error) {
	if lifetime == 0 {
		lifetime = defaultLifetime
	}
	list := newList()
	checkDuration(list, "Lifetime", lifetime, time.Second, maxLifetime)
	if secret.IsZero() {
		list.Add("Secret", "", sallyport.ConfigRequired, "is the TURN server's static-auth-secret")
	}
	if err := list.Err(); err != nil {
		return nil, err
	}
	return &TURN{secret: secret, lifetime: lifetime}, nil
}

// Credentials makes credentials for a user's id, which the TURN server shows
// in its logs: use a pseudonym.
func (t *TURN) Credentials(user string) (TURNCredentials, error) {
	if t == nil || t.secret.IsZero() {
		return TURNCredentials{}, errNotNew
	}
	list := newList()
	checkText(list, "user", user)
	if err := list.Err(); err != nil {
		return TURNCredentials{}, err
	}
	expires := time.Unix(time.Now().Add(t.lifetime).Unix(), 0)
	name := strconv.FormatInt(expires.Unix(), 10) + ":" + user
	mac := hmac.New(sha1.New, []byte(t.secret.Reveal()))
	mac.Write([]byte(name))
	return TURNCredentials{
		Username: name,
		Password: base64.StdEncoding.EncodeToString(mac.Sum(nil)),
		Expires:  expires,
	}, nil
}
