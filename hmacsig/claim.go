package hmacsig

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// prove writes down what has been proved.
func (v *Verifier) prove(w *work, signer *Key, p *Proof) {
	m, now := &w.msg, w.now
	expires := m.Expires
	switch {
	case expires != 0:
	case v.cfg.Scheme.Untimed:
		expires = now.Unix() + v.age
	default:
		expires = m.Timestamp + v.age
	}
	p.KeyID, p.Nonce, p.Subject = m.KeyID, m.Nonce, m.Subject
	p.Key, p.Retiring = signer.Name, !signer.NotAfter.IsZero()
	if m.Timestamp != 0 {
		p.Timestamp = time.Unix(m.Timestamp, 0)
	}
	p.Replay.KeyID, p.Replay.At = m.KeyID, now
	p.Replay.Until = time.Unix(expires+1, 0) // the last second counts whole
	if m.Nonce != "" {
		p.Replay.ID, w.base = nonceID(w.base, v.space, m.Nonce)
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

// claim takes the message in the replay store.
func (v *Verifier) claim(r *http.Request, p *Proof) *Rejection {
	if v.cfg.Replay == nil {
		return nil
	}
	if v.cfg.Scheme.Coverage == SignsDigest && !v.cfg.DangerouslyStreamBody {
		// The body came after the time was checked, as slowly as its sender
		// liked: by now the record of the same message may be gone.
		p.Replay.At = time.Now()
		if !p.Replay.At.Before(p.Replay.Until) {
			return v.refuse(ReasonExpired, nil)
		}
	}
	state, err := v.cfg.Replay.Claim(r.Context(), p.Replay)
	switch {
	case errors.Is(err, ErrReplayFull):
		return v.refuse(ReasonReplayFull, err)
	case err != nil:
		return v.refuse(ReasonReplayUnavailable, err)
	case state == Claimed:
		p.claimed = true
		return nil
	case state == Replayed:
		return v.refuse(ReasonReplayed, nil)
	case state == InFlight:
		return v.refuse(ReasonInFlight, nil)
	}
	return v.refuse(ReasonReplayUnavailable, nil)
}

// Confirm makes the claim of a Check final: the request has had its effect.
func (v *Verifier) Confirm(ctx context.Context, p Proof) error {
	if !p.claimed {
		return nil
	}
	return v.cfg.Replay.Confirm(ctx, p.Replay)
}

// Release gives the claim of a Check up: the request had no effect, and the
// sender may send it again.
func (v *Verifier) Release(ctx context.Context, p Proof) error {
	if !p.claimed {
		return nil
	}
	return v.cfg.Replay.Release(ctx, p.Replay)
}
