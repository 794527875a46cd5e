package hmacsig

import (
	"encoding/hex"
	"net/http"
	"time"
)

// OpsMantik is the scheme of the tracker's POST /api/call-event/v2:
//
//	X-Ops-Site-Id:   whose secret; letters, digits, '_' and '-', at most 64
//	X-Ops-Ts:        Unix seconds, 9 to 12 digits
//	X-Ops-Signature: 64 hexadecimal digits, either case
//	signed:          X-Ops-Ts "." body
//
//	X-Ops-Site-Id: 5f0c8a1e9d3b4c6f8a7e1d2c3b4a5968
//	X-Ops-Ts: 1795299383
//	X-Ops-Signature: 7d4c5a0e...64 digits
//
// Accepted up to 300 s old and 60 s ahead. The site id is not signed; the
// secret it selects binds it, so two sites must not share one. The digits of
// the timestamp are signed as they were sent, leading zeros included, and the
// first "." ends them: there is no second way to cut a signed text in two.
func OpsMantik() Scheme {
	return Scheme{
		Name:     "opsmantik",
		MaxAge:   300 * time.Second,
		MaxAhead: 60 * time.Second,
		KeyID:    isSiteID,
		Read:     readOpsMantik,
		Base:     baseStamped,
		Write: func(r *http.Request, m *Message, mac []byte) {
			r.Header.Set("X-Ops-Site-Id", m.KeyID)
			r.Header.Set("X-Ops-Ts", string(appendStamp(nil, m)))
			r.Header.Set("X-Ops-Signature", hex.EncodeToString(mac))
		},
	}
}

// isSiteID reports whether a text can be a site's id.
func isSiteID(text string) bool { return isToken(text, 64) }

func readOpsMantik(r *http.Request, m *Message) error {
	site, err := SingleHeader(r.Header, "X-Ops-Site-Id")
	if err != nil {
		return err
	}
	sig, err := readStamped(r, m, "X-Ops-Ts", "X-Ops-Signature")
	if err != nil {
		return err
	}
	if !isSiteID(site) || !m.AddHex(sig) {
		return malformed
	}
	m.KeyID = site
	return nil
}
