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
// Accepted up to 300 s old and 60 s ahead. The site id is not signed; the
// secret it selects binds it, so two sites must not share one. The digits of
// the timestamp are signed as they were sent, leading zeros included, and the
// first "." ends them: there is no second way to cut a signed text in two.
func OpsMantik() Scheme {
	return Scheme{
		Name:     "opsmantik",
		MaxAge:   300 * time.Second,
		MaxAhead: 60 * time.Second,
		Read:     readOpsMantik,
		Base:     baseOpsMantik,
		Write:    writeOpsMantik,
	}
}

func readOpsMantik(r *http.Request, m *Message) error {
	site, err := SingleHeader(r.Header, "X-Ops-Site-Id")
	if err != nil {
		return err
	}
	ts, err := SingleHeader(r.Header, "X-Ops-Ts")
	if err != nil {
		return err
	}
	sig, err := SingleHeader(r.Header, "X-Ops-Signature")
	if err != nil {
		return err
	}
	unix, ok := parseUnix(ts, 9, 12)
	if !ok || !isToken(site, 64) || !m.AddHex(sig) {
		return ErrMalformed
	}
	m.KeyID, m.Timestamp, m.Raw = site, unix, ts
	return nil
}

func baseOpsMantik(dst []byte, _ *http.Request, m *Message) []byte {
	if m.Raw != "" {
		dst = append(dst, m.Raw...)
	} else {
		dst = appendUnix(dst, m.Timestamp)
	}
	return append(dst, '.')
}

func writeOpsMantik(r *http.Request, m *Message, mac []byte) {
	r.Header.Set("X-Ops-Site-Id", m.KeyID)
	r.Header.Set("X-Ops-Ts", string(appendUnix(nil, m.Timestamp)))
	r.Header.Set("X-Ops-Signature", hex.EncodeToString(mac))
}
