package gatetest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// unsigned are the codes with which a signature is refused.
var unsigned = []string{
	"signature_missing", "signature_malformed", "signature_invalid", "signature_claims_mismatch",
	"body_digest_mismatch", "signature_expired", "signature_not_yet_valid",
}

// signatureAttacks are what somebody without the key can do with a request that
// he has seen.
func signatureAttacks() []attack {
	const gate = "hmacsig"
	const fix = "put the route behind an hmacsig.Verifier, before anything reads the body"
	isSigned := func(_ *Suite, r *Route) bool { return r.Sign != nil }
	var all []attack
	for _, c := range []change{
		// A space changes nothing for the handler, and everything for a MAC.
		{
			name: "altered body", codes: unsigned,
			after: func(_ *trial, d *draft) { d.fill(append(slices.Clone(d.body), ' ')) },
		},
		// What is kept in a log or a proxy must be worth nothing after a while, and a
		// time far ahead would make it last.
		{
			name: "signed an hour ago", codes: []string{"signature_expired"},
			before: func(_ *trial, d *draft) { d.at = d.at.Add(-time.Hour) },
		},
		{
			name: "signed an hour ahead", codes: []string{"signature_not_yet_valid", "signature_expired"},
			before: func(_ *trial, d *draft) { d.at = d.at.Add(time.Hour) },
		},
	} {
		all = append(all, c.attack(gate, fix, isSigned))
	}
	return append(
		all,
		attack{name: "no signature", gate: gate, fix: fix, applies: isSigned, run: noSignature},
		attack{
			name: "part of the signature missing", gate: gate, applies: isSigned, run: eachPart(remove),
			fix: "a header that is absent must not make the verifier skip a check",
		},
		attack{
			name: "part of the signature altered", gate: gate, applies: isSigned, run: eachPart(alter),
			fix: "everything that the signer sends has to be signed, or select the key",
		},
		attack{
			name: "part of the signature twice", gate: gate, applies: isSigned, run: eachPart(repeat),
			fix: "read each header once: two gates that read different values are a bypass",
		},
		attack{
			name: "replayed request", gate: gate, applies: isSigned, run: replay,
			fix: "give the verifier a ReplayStore",
		},
	)
}

// noSignature leaves everything out that signing would add.
func noSignature(t *trial) []string {
	d := t.draft()
	d.fill(d.body)
	return t.mustRefuse(d.Request, []string{"signature_missing"})
}

// eachPart changes one header after the other of those that signing has added.
// All are refused, so one server serves them all.
func eachPart(change func(h http.Header, name string)) func(*trial) []string {
	return func(t *trial) (wrong []string) {
		before := t.draft().Header
		signed := t.draft()
		t.sign(signed)
		for _, name := range added(before, signed.Header) {
			d := t.draft()
			t.sign(d)
			change(d.Header, name)
			for _, text := range t.mustRefuse(d.Request, unsigned) {
				wrong = append(wrong, name+": "+text)
			}
		}
		return wrong
	}
}

// added returns the names that are in one header and not, or not the same, in
// another.
func added(before, after http.Header) (names []string) {
	for name, values := range after {
		if !slices.Equal(before[name], values) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func remove(h http.Header, name string) { h.Del(name) }

func repeat(h http.Header, name string) { h.Add(name, h.Get(name)) }

// alter changes the last letter or digit: in all schemes that is one of the
// signature, the time or the id.
func alter(h http.Header, name string) { h.Set(name, altered(h.Get(name))) }

func altered(s string) string {
	i := strings.LastIndexFunc(s, func(r rune) bool {
		return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	})
	if i < 0 {
		return s + "x"
	}
	other := byte('0')
	if s[i] == '0' {
		other = '1'
	}
	return s[:i] + string(other) + s[i+1:]
}

// replay sends the very same request twice: the second one is somebody who has seen
// the first.
func replay(t *trial) []string {
	d := t.draft()
	if first := t.genuine(d); !t.accepted(first) {
		return []string{"the first one: " + first.String()}
	}
	d.fill(d.body)
	return t.mustRefuse(d.Request, []string{"request_replayed", "request_in_flight"})
}
