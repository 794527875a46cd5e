package hmacsig

import (
	"errors"
	"net/http"
)

// NewTransport returns an http.RoundTripper that signs every request before
// base (nil: http.DefaultTransport) sends it. With a signer that was not made by
// NewSigner it sends nothing and returns an error. The caller's request is not
// touched: a clone is signed, with GetBody kept. A retry or redirect that
// comes through RoundTrip again is signed again, with a new timestamp and
// nonce; what base resends by itself on a broken connection is the same
// message, which the receiver recognises.
//
// A redirect to another host is signed too. Body-only schemes do not name the
// host, so the other host could pass such a message on: set CheckRedirect
// where the destination is not trusted.
func NewTransport(base http.RoundTripper, signer *Signer) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{base: base, signer: signer}
}

type transport struct {
	base   http.RoundTripper
	signer *Signer
}

// RoundTrip signs a clone of r. It closes r.Body in any case, as
// http.RoundTripper demands.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	signed := r.Clone(r.Context())
	if err := t.signer.Sign(signed); err != nil {
		if r.Body != nil && errors.Is(err, errNoSigner) { // Sign closes it otherwise
			_ = r.Body.Close()
		}
		return nil, err
	}
	return t.base.RoundTrip(signed)
}
