package hmacsig

import (
	"context"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport"
)

// prove writes down what has been proved.
func (v *Verifier) prove(w *work, signer *Key, p *Proof) {
	m := &w.msg
	p.KeyID, p.Nonce, p.Subject = m.KeyID, m.Nonce, m.Subject
	p.Key, p.Retiring = signer.Name, !signer.NotAfter.IsZero()
	if m.Timestamp != 0 {
		p.Timestamp = time.Unix(m.Timestamp, 0)
	}
	p.Replay.KeyID, p.Replay.At = m.KeyID, w.now
	p.Replay.Until = time.Unix(v.until(m, w.now.Unix()), 0)
	if m.Nonce != "" {
		p.Replay.ID = nonceID(v.space, m.Nonce)
		return
	}
	// The MAC that matched: it stays the same when keys come and go.
	copy(p.Replay.ID[:], w.mac)
	if v.cfg.Scheme.Several {
		// The one under the first active key, whichever key matched: a message
		// that carries two signatures is one message, whichever of them a
		// thief leaves out.
		p.Replay.ID = w.first
	}
}

// until is the first second in which checkTime refuses the message. An untimed
// message without an end of its own has none; then its record has one.
func (v *Verifier) until(m *Message, now int64) int64 {
	switch {
	case !v.cfg.Scheme.Untimed:
		end := m.Timestamp + v.age + 1 // the last second counts whole
		if m.Expires != 0 {
			end = min(end, m.Expires)
		}
		return end
	case m.Expires != 0:
		return m.Expires
	}
	return now + v.age + 1
}

// claim takes the message in the replay store. It is the last step, so nothing but
// a genuine message, in time and whole, ever gets there.
func (v *Verifier) claim(r *http.Request, p *Proof) *sallyport.Refusal {
	if v.cfg.Replay == nil {
		return nil
	}
	if v.cfg.Scheme.SignsDigest {
		// The body came after the time was checked, as slowly as its sender
		// liked: by now the record of the same message may be gone.
		p.Replay.At = time.Now()
		if !p.Replay.At.Before(p.Replay.Until) {
			return v.refuse(CodeSignatureExpired, nil)
		}
	}
	state, err := v.cfg.Replay.Claim(r.Context(), p.Replay)
	if err != nil {
		return v.refuse(CodeReplayUnavailable, err)
	}
	switch state {
	case Claimed:
		p.claimed = true
		return nil
	case Replayed:
		return v.refuse(CodeReplayed, nil)
	case InFlight:
		return v.refuse(CodeInFlight, nil)
	case ShareFull:
		return v.refuse(CodeReplayShareFull, nil)
	case StoreFull:
		return v.refuse(CodeReplayStoreFull, nil)
	}
	return v.refuse(CodeReplayUnavailable, errNoState)
}

// Confirm makes the claim of a Check final: the request has had its effect.
func (v *Verifier) Confirm(ctx context.Context, p Proof) error {
	if v == nil || v.cfg.Replay == nil || !p.claimed {
		return nil
	}
	return v.cfg.Replay.Confirm(ctx, p.Replay)
}

// Release gives the claim of a Check up: the request had no effect, and the
// sender may send it again.
func (v *Verifier) Release(ctx context.Context, p Proof) error {
	if v == nil || v.cfg.Replay == nil || !p.claimed {
		return nil
	}
	return v.cfg.Replay.Release(ctx, p.Replay)
}
