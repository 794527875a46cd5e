package loginguard

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// A token of a known device is, in base64url without padding,
//
//	nonce (16 bytes) expiry (8 bytes, Unix seconds) HMAC-SHA256 (32 bytes)
//
// over a label, the nonce, the expiry and the account. It tells a device apart
// and proves that somebody signed in there once. It signs nobody in.
const (
	nonceLen  = 16
	expiryLen = 8
	tokenLen  = nonceLen + expiryLen + sha256.Size
	minSecret = 16
)

// Remember returns a token by which a device is known to an account, for a cookie
// of its own: HttpOnly, Secure, SameSite=Strict, MaxAge as Config.DeviceAge, and
// kept at sign-out. Call it after a sign-in that is complete. It is empty without
// Config.DeviceSecret.
func (g *Guard) Remember(account string) string {
	if g == nil || len(g.cfg.DeviceSecret) == 0 {
		return ""
	}
	token := make([]byte, nonceLen, tokenLen)
	_, _ = rand.Read(token) // never fails
	expiry := time.Now().Add(g.cfg.DeviceAge).Unix()
	token = binary.BigEndian.AppendUint64(token, uint64(expiry)) // #nosec G115 -- after 1970
	token = g.sign(token, token, fold(account))
	return base64.RawURLEncoding.EncodeToString(token)
}

// known returns the nonce of a device that an account knows, or "".
func (g *Guard) known(text, account string) string {
	if len(g.cfg.DeviceSecret) == 0 || len(text) != base64.RawURLEncoding.EncodedLen(tokenLen) {
		return ""
	}
	token, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return ""
	}
	signed := token[:nonceLen+expiryLen]
	expiry := binary.BigEndian.Uint64(token[nonceLen:])
	now := uint64(time.Now().Unix()) // #nosec G115 -- after 1970
	if !hmac.Equal(token[len(signed):], g.sign(nil, signed, account)) || expiry < now {
		return ""
	}
	return string(token[:nonceLen])
}

func (g *Guard) sign(to, signed []byte, account string) []byte {
	mac := hmac.New(sha256.New, g.cfg.DeviceSecret)
	mac.Write([]byte("sallyport loginguard device 1\x00"))
	mac.Write(signed) // of one length, so what follows is the account
	mac.Write([]byte(account))
	return mac.Sum(to)
}
