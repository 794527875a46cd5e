package hmacsig

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

// The webhook schemes of the trade. None signs a key id: the receiver's URL
// says whose secret it is, so their KeySource is asked for the id "".

// StandardWebhooks is the symmetric scheme of Standard Webhooks 1.0.0 (Svix):
//
//	webhook-id:        letters, digits, '_' and '-', at most 256
//	webhook-timestamp: Unix seconds, 9 to 12 digits
//	webhook-signature: one or more of "v1," base64, separated by one space
//	signed:            webhook-id "." webhook-timestamp "." body
//
//	webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek
//	webhook-timestamp: 1614265330
//	webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=
//
// Signatures of other versions (v1a) are passed over. The window is 5 minutes
// to both sides, as in the reference libraries. The id may not contain a ".":
// with one, the text "a.100.200.x" is both message "a" of second 100 and
// message "a.100" of second 200. Secrets come from NewWebhookSecret. A retry
// by the sender keeps its id, so it is CodeReplayed once the first one has
// been accepted, for as long as the entry lives.
func StandardWebhooks() Scheme { return standardWebhooks("standard-webhooks", "Webhook-") }

// Svix is StandardWebhooks with the header names that Svix sends, and with it
// Clerk, Resend and others: svix-id, svix-timestamp and svix-signature.
func Svix() Scheme { return standardWebhooks("svix", "Svix-") }

func standardWebhooks(name, prefix string) Scheme {
	id, stamp, signature := prefix+"Id", prefix+"Timestamp", prefix+"Signature"
	return Scheme{
		Name:     name,
		Several:  true,
		MaxAge:   300 * time.Second,
		MaxAhead: 300 * time.Second,
		secrets:  secretsDecoded,
		Read: func(r *http.Request, m *Message) error {
			return readStandardWebhooks(r, m, id, stamp, signature)
		},
		Base: func(dst []byte, _ *http.Request, m *Message) []byte {
			dst = append(append(dst, m.Nonce...), '.')
			return append(appendStamp(dst, m), '.')
		},
		Write: func(r *http.Request, m *Message, mac []byte) {
			r.Header.Set(id, m.Nonce)
			r.Header.Set(stamp, string(appendStamp(nil, m)))
			r.Header.Set(signature, "v1,"+base64.StdEncoding.EncodeToString(mac))
		},
	}
}

func readStandardWebhooks(r *http.Request, m *Message, id, stamp, signature string) error {
	nonce, err := SingleHeader(r.Header, id)
	if err != nil {
		return err
	}
	sigs, err := readStamped(r, m, stamp, signature)
	if err != nil {
		return err
	}
	if !isToken(nonce, maxKeyID) {
		return malformed
	}
	m.Nonce = nonce
	for sig := range strings.SplitSeq(sigs, " ") {
		text, ours := strings.CutPrefix(sig, "v1,")
		if ours && !m.AddBase64(text) {
			return malformed
		}
	}
	return nil
}

// Stripe is the scheme of Stripe's webhooks:
//
//	Stripe-Signature: t=UNIX,v1=HEX[,v1=HEX...][,v0=...]
//	signed:           t "." body
//
// The secret is the text that Stripe shows, "whsec_" included: NewSecret.
//
//	Stripe-Signature: t=1492774577,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e7...
//
// One t, at least one v1; other schemes are passed over, as Stripe's
// documentation asks, so that nobody can choose a weaker one. The window is 5
// minutes, and also 5 minutes ahead, where Stripe's own libraries have no
// bound. The event's id is in the body, beyond what a signature can see, and a
// message may carry several signatures: deduplicate by the event's id as well,
// because a change of the first active key lets each message of the last
// minutes in once more.
func Stripe() Scheme {
	return Scheme{
		Name:     "stripe",
		Several:  true,
		MaxAge:   300 * time.Second,
		MaxAhead: 300 * time.Second,
		secrets:  secretsAsTheyAre,
		Read:     readStripe,
		Base:     baseStamped,
		Write: func(r *http.Request, m *Message, mac []byte) {
			text := append(appendUnix([]byte("t="), m.Timestamp), ",v1="...)
			r.Header.Set("Stripe-Signature", string(hex.AppendEncode(text, mac)))
		},
	}
}

func readStripe(r *http.Request, m *Message) error {
	text, err := SingleHeader(r.Header, "Stripe-Signature")
	if err != nil {
		return err
	}
	for item := range strings.SplitSeq(text, ",") {
		name, value, found := strings.Cut(item, "=")
		switch {
		case !found:
			return malformed
		case name == "v1" && !m.AddHex(value):
			return malformed
		case name == "t":
			var ok bool
			if m.Raw != "" {
				return malformed
			}
			if m.Timestamp, ok = ParseUnix(value); !ok {
				return malformed
			}
			m.Raw = value
		}
	}
	if m.Raw == "" {
		return malformed
	}
	return nil
}

// GitHub is the scheme of GitHub's webhooks:
//
//	X-Hub-Signature-256: sha256=HEX
//	signed:              body
//
//	X-Hub-Signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c...
//
// Nothing signed says when, so an old delivery verifies for ever: the replay
// entry lives for 24 hours and no longer. X-GitHub-Delivery and X-GitHub-Event
// are not signed. A redelivery has the same body and is a replay here.
func GitHub() Scheme {
	return Scheme{
		Name:    "github",
		MaxAge:  maxWindow,
		Untimed: true,
		Read: func(r *http.Request, m *Message) error {
			text, err := SingleHeader(r.Header, "X-Hub-Signature-256")
			if err != nil {
				return err
			}
			sum, ok := strings.CutPrefix(text, "sha256=")
			if !ok || !m.AddHex(sum) {
				return malformed
			}
			return nil
		},
		Base: func(dst []byte, _ *http.Request, _ *Message) []byte { return dst },
		Write: func(r *http.Request, _ *Message, mac []byte) {
			r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac))
		},
	}
}

// Slack is the scheme of Slack's requests:
//
//	X-Slack-Request-Timestamp: Unix seconds, 9 to 12 digits
//	X-Slack-Signature:         v0=HEX
//	signed:                    "v0:" timestamp ":" body
//
//	X-Slack-Request-Timestamp: 1531420618
//	X-Slack-Signature: v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd275196...
//
// The window is 5 minutes to both sides, as Slack's documentation says. Slack sends
// again what was not answered 2xx within 3 seconds, with a new timestamp: a new
// message, to be known again by the event_id in its body.
func Slack() Scheme {
	return Scheme{
		Name:     "slack",
		MaxAge:   300 * time.Second,
		MaxAhead: 300 * time.Second,
		Read: func(r *http.Request, m *Message) error {
			text, err := readStamped(r, m, "X-Slack-Request-Timestamp", "X-Slack-Signature")
			if err != nil {
				return err
			}
			sum, ok := strings.CutPrefix(text, "v0=")
			if !ok || !m.AddHex(sum) {
				return malformed
			}
			return nil
		},
		Base: func(dst []byte, _ *http.Request, m *Message) []byte {
			return append(appendStamp(append(dst, "v0:"...), m), ':')
		},
		Write: func(r *http.Request, m *Message, mac []byte) {
			r.Header.Set("X-Slack-Request-Timestamp", string(appendStamp(nil, m)))
			r.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac))
		},
	}
}

// Three schemes have a header for the time and one for the signature.

// readStamped reads a timestamp header into m and returns the signature
// header beside it. Raw keeps the digits as they were sent and signed.
func readStamped(r *http.Request, m *Message, stamp, sig string) (string, error) {
	ts, err := SingleHeader(r.Header, stamp)
	if err != nil {
		return "", err
	}
	text, err := SingleHeader(r.Header, sig)
	if err != nil {
		return "", err
	}
	unix, ok := ParseUnix(ts)
	if !ok {
		return "", malformed
	}
	m.Timestamp, m.Raw = unix, ts
	return text, nil
}

// appendStamp appends the timestamp as it was sent, or as it will be.
func appendStamp(dst []byte, m *Message) []byte {
	if m.Raw != "" {
		return append(dst, m.Raw...)
	}
	return appendUnix(dst, m.Timestamp)
}

// baseStamped is the base of schemes that sign timestamp "." body.
func baseStamped(dst []byte, _ *http.Request, m *Message) []byte {
	return append(appendStamp(dst, m), '.')
}
