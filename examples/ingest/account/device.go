package account

import (
	"net/http"
	"time"
)

// deviceCookie names a device that has signed in before. It signs nobody in: it
// lets the owner of an account pass while strangers who guess at it are slowed
// (OWASP, Slow Down Online Guessing Attacks with Device Cookies).
//
// A sibling host could plant one. It would be forged, or another account's, and
// both count as none.
const (
	deviceCookie = "__Secure-device"
	deviceAge    = 180 * 24 * time.Hour
)

// remember gives the device its token once a sign-in has every factor.
func (a *Accounts) remember(w http.ResponseWriter, user User) {
	token := a.Guard.Remember(user.Email)
	if token == "" {
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: deviceCookie, Value: token, Path: "/", MaxAge: int(deviceAge / time.Second),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// device is the token of a request, or "".
func device(r *http.Request) string {
	cookie, err := r.Cookie(deviceCookie)
	if err != nil {
		return ""
	}
	return cookie.Value
}
