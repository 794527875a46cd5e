package pages

import (
	"crypto/rand"
	"encoding/base32"
	"net/http"
	"strings"

	"github.com/pquerna/otp/totp"

	"github.com/opsmantik/sallyport/examples/ingest/reply"
)

// authenticatorView is a secret on its way to an authenticator and to the operator.
// Nothing of it is kept here: users and their secrets are in the operator's file.
type authenticatorView struct {
	Secret string
	QR     square
	Tried  bool // a code of it was right
}

// secretBytes is how long a secret is (RFC 4226 section 4 recommends 160 bits).
const secretBytes = 20

var unpadded = base32.StdEncoding.WithPadding(base32.NoPadding)

// newAuthenticator shows a new secret.
func (p *Pages) newAuthenticator(w http.ResponseWriter, r *http.Request) {
	reader, ok := p.who(w, r)
	if !ok {
		return
	}
	random := make([]byte, secretBytes)
	_, _ = rand.Read(random) // never fails: crypto/rand aborts the program instead
	p.authenticatorPage(w, r, reader, authenticatorView{Secret: unpadded.EncodeToString(random)}, problem{})
}

// tryAuthenticator checks that the authenticator has learnt the secret.
func (p *Pages) tryAuthenticator(w http.ResponseWriter, r *http.Request) {
	form, ok := p.form(w, r)
	if !ok {
		return
	}
	reader, ok := p.who(w, r)
	if !ok {
		return
	}
	secret := form.Get("secret")
	if raw, err := unpadded.DecodeString(secret); err != nil || len(raw) != secretBytes {
		redirect(w, r, "/account/authenticator")
		return
	}
	v := authenticatorView{Secret: secret, Tried: totp.Validate(strings.TrimSpace(form.Get("code")), secret)}
	var why problem
	if !v.Tried {
		why = problem{Status: http.StatusUnprocessableEntity, Code: reply.CodeCodeInvalid, Title: "The code is wrong"}
	}
	p.authenticatorPage(w, r, reader, v, why)
}

func (p *Pages) authenticatorPage(
	w http.ResponseWriter, r *http.Request, reader *me, v authenticatorView, why problem,
) {
	var err error
	if v.QR, err = enrolmentQR(reader.Email, v.Secret); err != nil {
		why = problem{Status: http.StatusInternalServerError, Code: reply.CodeInternalError, Title: "Something went wrong"}
		p.refused(w, r, why, "/account")
		return
	}
	p.render(w, r, max(why.Status, http.StatusOK), view{
		Page: "authenticator", Title: "A new authenticator", Me: reader, Problem: why, Data: v,
	})
}
